"""Procrastinate over PostgreSQL, in a database of its own: one process, aiohttp. `prepare` makes it, `clean` drops it."""

import asyncio
import sys

import aiohttp
import job
import psycopg
import uvloop
from procrastinate import App, PsycopgConnector, RetryStrategy
from psycopg import sql

app = App(connector=PsycopgConnector(conninfo=f"{job.POSTGRES}/{job.DATABASE}", min_size=4, max_size=20))
kept = {}


@app.task(name="deliver", queue=job.QUEUE, retry=RetryStrategy(max_attempts=job.ATTEMPTS))
async def deliver(what):
    http = kept.get("http")
    if http is None:
        http = kept["http"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=job.AT_ONCE))
    async with http.post(job.PROVIDER, data=job.provider_body(what), headers=job.HEADERS) as answer:
        await answer.read()
        answer.raise_for_status()


async def enqueue():
    async with app.open_async():
        await job.enqueue_when_told_async(lambda number: deliver.defer_async(what=job.notification(number)))


async def prepare():
    administer("create database {}")
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


def administer(statement):
    with psycopg.connect(f"{job.POSTGRES}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(job.DATABASE)))


if __name__ == "__main__":
    if sys.argv[1] == "clean":
        administer("drop database if exists {} with (force)")
    else:
        run = asyncio.run if sys.argv[1] == "prepare" else uvloop.run
        run(prepare() if sys.argv[1] == "prepare" else enqueue())
