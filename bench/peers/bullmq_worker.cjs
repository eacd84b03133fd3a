// BullMQ's worker: 200 jobs at once, undici with 200 connections.
const {Worker} = require('bullmq')
const {Agent, request} = require('undici')
const {QUEUE, connection, providerBody} = require('./bullmq_job.cjs')

const dispatcher = new Agent({connections: 200, pipelining: 1})
const headers = {'content-type': 'application/json', authorization: 'Bearer ' + '0'.repeat(32)}

const deliver = async job => {
  const answer = await request(process.env.BENCH_PROVIDER, {method: 'POST', headers, body: providerBody(job.data), dispatcher})
  await answer.body.dump()
  if (answer.statusCode !== 200) throw new Error(`answered ${answer.statusCode}`)
}

new Worker(QUEUE, deliver, {connection, concurrency: 200})
