// Adds jobs, 64 at once, when it is told to: the protocol of job.py.
const readline = require('node:readline')
const {Queue} = require('bullmq')
const {QUEUE, connection, notification} = require('./bullmq_job.cjs')

const options = {attempts: 5, removeOnComplete: true, removeOnFail: 100}

const main = async () => {
  const queue = new Queue(QUEUE, {connection})
  await queue.waitUntilReady()
  console.log('ready')
  for await (const line of readline.createInterface({input: process.stdin})) {
    const began = Date.now()
    const count = Number(line)
    let next = 0
    const some = async () => {
      while (next < count) await queue.add('deliver', notification(next++), options)
    }
    await Promise.all(Array.from({length: 64}, some))
    console.log(JSON.stringify({seconds: (Date.now() - began) / 1000}))
  }
  await queue.close()
}

main()
