"""Taskiq over Redis streams: acknowledged after the task, one process, aiohttp."""

import aiohttp
import job
import uvloop
from taskiq import SimpleRetryMiddleware, TaskiqEvents
from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(url=job.REDIS, queue_name=job.QUEUE, max_connection_pool_size=100)
broker.add_middlewares(SimpleRetryMiddleware(default_retry_count=job.ATTEMPTS))


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def begin(state):
    state.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=job.AT_ONCE))


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def end(state):
    await state.http.close()


@broker.task(task_name="deliver", retry_on_error=True)
async def deliver(what: dict) -> None:
    async with broker.state.http.post(job.PROVIDER, data=job.provider_body(what), headers=job.HEADERS) as answer:
        await answer.read()
        answer.raise_for_status()


async def main():
    await broker.startup()
    await job.enqueue_when_told_async(lambda number: deliver.kiq(job.notification(number)))
    await broker.shutdown()


if __name__ == "__main__":
    uvloop.run(main())
