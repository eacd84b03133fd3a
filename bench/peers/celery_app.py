"""Celery over RabbitMQ: late acknowledgement, confirmed and persistent publishes, two processes."""

import sys

import job
import requests
from celery import Celery

app = Celery("bench", broker=job.AMQP)
app.conf.update(
    task_default_queue=job.QUEUE,
    task_default_delivery_mode="persistent",
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=4,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
)
session = requests.Session()


@app.task(name="deliver", autoretry_for=(Exception,), max_retries=job.ATTEMPTS, retry_backoff=True)
def deliver(what):
    session.post(job.PROVIDER, data=job.provider_body(what), headers=job.HEADERS, timeout=10).raise_for_status()


def enqueue(count):
    for number in range(count):
        deliver.delay(job.notification(number))


def clean():
    with app.connection_for_write() as connection:
        connection.default_channel.queue_delete(job.QUEUE)


if __name__ == "__main__":
    clean() if sys.argv[1] == "clean" else job.enqueue_when_told(enqueue)
