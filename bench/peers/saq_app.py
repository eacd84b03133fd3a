"""SAQ over Redis: one process, aiohttp."""

import aiohttp
import job
import uvloop
from redis.asyncio import BlockingConnectionPool, Redis
from saq.queue.redis import RedisQueue

pool = BlockingConnectionPool.from_url(job.REDIS, max_connections=100, timeout=30)
queue = RedisQueue(Redis(connection_pool=pool), name=job.QUEUE, max_concurrent_ops=job.ENQUEUERS)


async def begin(context):
    context["http"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=job.AT_ONCE))


async def end(context):
    await context["http"].close()


async def deliver(context, *, what):
    async with context["http"].post(job.PROVIDER, data=job.provider_body(what), headers=job.HEADERS) as answer:
        await answer.read()
        answer.raise_for_status()


settings = {"queue": queue, "functions": [deliver], "concurrency": job.AT_ONCE, "startup": begin, "shutdown": end}


async def main():
    await queue.connect()
    await job.enqueue_when_told_async(
        lambda number: queue.enqueue("deliver", what=job.notification(number), retries=job.ATTEMPTS, timeout=30)
    )
    await queue.disconnect()


if __name__ == "__main__":
    uvloop.run(main())
