"""The bus on RabbitMQ (3.10 or later, 4 included); needs the extra `sendwright[rabbitmq]`."""

from sendwright.drivers.bus.rabbitmq.bus import RabbitBus, open_rabbitmq

__all__ = ["RabbitBus", "open_rabbitmq"]
