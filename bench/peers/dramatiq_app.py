"""Dramatiq over RabbitMQ: confirmed publishes, two processes of eight threads."""

import sys
import threading

import dramatiq
import job
import requests
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.middleware import AgeLimit, Retries, ShutdownNotifications, TimeLimit

middleware = [AgeLimit(), TimeLimit(), ShutdownNotifications(), Retries(max_retries=job.ATTEMPTS)]
broker = RabbitmqBroker(url=job.AMQP, confirm_delivery=True, middleware=middleware)
dramatiq.set_broker(broker)
local = threading.local()


@dramatiq.actor(queue_name=job.QUEUE)
def deliver(what):
    if not hasattr(local, "session"):
        local.session = requests.Session()
    local.session.post(job.PROVIDER, data=job.provider_body(what), headers=job.HEADERS, timeout=10).raise_for_status()


def enqueue(count):
    for number in range(count):
        deliver.send(job.notification(number))


def clean():
    for ending in ("", ".DQ", ".XQ"):
        broker.connection.channel().queue_delete(job.QUEUE + ending)


if __name__ == "__main__":
    clean() if sys.argv[1] == "clean" else job.enqueue_when_told(enqueue)
