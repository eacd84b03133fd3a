// What BullMQ carries and sends: the same as job.py.
const QUEUE = process.env.BENCH_QUEUE
const connection = {host: '127.0.0.1', port: Number(new URL(process.env.BENCH_REDIS).port), maxRetriesPerRequest: null}

const notification = number => ({
  id: number.toString(16).padStart(32, '0'),
  channel: 'sms',
  template: 'order-shipped',
  to: {id: 'cust-' + String(number % 100000).padStart(10, '0'), phone: '+1415555' + String(number % 10000).padStart(4, '0')},
  data: {name: 'Magdalena', order: 'ORD-2026-' + String(number).padStart(6, '0'), items: 3, total: '1299.50', currency: 'CZK'},
})

const providerBody = job => {
  const d = job.data
  const text = `Hello ${d.name}, your order ${d.order} of ${d.items} items for ${d.total} ${d.currency} has shipped. Thank you for shopping with us!`
  return JSON.stringify({to: job.to.phone, from: '+15005550006', text, reference: job.id})
}

module.exports = {QUEUE, connection, notification, providerBody}
