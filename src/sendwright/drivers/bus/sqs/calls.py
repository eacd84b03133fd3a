"""The rim: one API call of SQS, bounded in time, and what its failure means. Nothing else here knows aiobotocore.

Of a failure two things matter: whether the request may have been taken all the same (`maybe`), and whether it is of use to
repeat it. Its own retries are switched off; ours know the caller's time limit.

Errors: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

import asyncio
import importlib
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from sendwright.drivers.bus.sqs.address import SqsAddress
from sendwright.errors import BusDown, OperatorError

THROTTLED = frozenset(
    (
        "KmsThrottled",
        "OverLimit",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    )
)
"""Nothing was done, and later it will be."""
NO_QUEUE = frozenset(("NonExistentQueue", "QueueDoesNotExist"))
_LATER = frozenset(("QueueDeletedRecently", "IDPCommunicationError", *THROTTLED, *NO_QUEUE))
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
CONNECTIONS_MAX = 512
"""A poll holds one for as long as it waits."""


class CallFailed(BusDown):
    """One call, or one entry of a batch. `repeat`: it is of use to try again."""

    def __init__(self, action: str, code: str, *, repeat: bool, maybe: bool) -> None:
        self.code = code
        self.repeat = repeat
        super().__init__(f"SQS {action}: {code}", maybe=maybe)


def failure(action: str, code: str, *, at_fault: bool) -> CallFailed:
    """What an answered failure means. `at_fault`: it is the sender's, so that nothing was taken, nor would be."""
    code = code.rpartition(".")[2] or "unknown"
    later = code in _LATER
    return CallFailed(action, code, repeat=later or not at_fault, maybe=not later and not at_fault)


def pause_s(tries: int, chance: random.Random) -> float:
    """How long to wait after that many failures: exponential, jittered from half to full."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tries, 10))
    return longest * (1 + chance.random()) / 2


class Calls:
    """A client of one endpoint."""

    def __init__(self, client: Any, address: SqsAddress, faults: _Foreign) -> None:
        self._client = client
        self._address = address
        self._foreign = faults
        self.chance = random.Random()  # noqa: S311 -- jitter

    async def call(self, action: str, /, *, extra_s: float = 0.0, **members: Any) -> dict[str, Any]:
        """One try of, say, `send_message_batch`. Raises `CallFailed`."""
        try:
            async with asyncio.timeout(self._address.call_s + extra_s):
                answer: dict[str, Any] = await getattr(self._client, action)(**members)
        except self._foreign.answered as error:
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
            raise failure(action, code, at_fault=400 <= status < 500) from error
        except self._foreign.unsent as error:
            raise CallFailed(action, type(error).__name__, repeat=True, maybe=False) from error
        except self._foreign.unusable as error:
            raise CallFailed(action, type(error).__name__, repeat=False, maybe=False) from error
        except (*self._foreign.others, OSError) as error:  # a TimeoutError is an OSError
            raise CallFailed(action, type(error).__name__, repeat=True, maybe=True) from error
        return answer

    async def patiently(self, action: str, /, **members: Any) -> dict[str, Any]:
        """Repeats for as long as it is of use and there is time. The call must be safe to repeat. Raises `CallFailed`."""
        deadline = asyncio.get_running_loop().time() + self._address.within_s
        tries = 0
        while True:
            try:
                return await self.call(action, **members)
            except CallFailed as error:
                pause = pause_s(tries, self.chance)
                if not error.repeat or error.code in NO_QUEUE or asyncio.get_running_loop().time() + pause > deadline:
                    raise
            tries += 1
            await asyncio.sleep(pause)


class _Foreign:
    """The foreign exceptions, by what they mean; `unsent` before `others`, for these are among them."""

    def __init__(self) -> None:
        botocore = importlib.import_module("botocore.exceptions")
        aiohttp = importlib.import_module("aiohttp")
        self.answered: Any = botocore.ClientError
        self.unsent: tuple[Any, ...] = (
            botocore.EndpointConnectionError,
            botocore.ConnectTimeoutError,
            aiohttp.ClientConnectorError,
        )
        self.unusable: tuple[Any, ...] = (
            botocore.NoCredentialsError,
            botocore.PartialCredentialsError,
            botocore.CredentialRetrievalError,
            botocore.ParamValidationError,
        )
        self.others: tuple[Any, ...] = (botocore.BotoCoreError, botocore.HTTPClientError, aiohttp.ClientError)


def _load() -> tuple[Any, Any, _Foreign]:
    session = importlib.import_module("aiobotocore.session")
    config = importlib.import_module("aiobotocore.config")
    return session, config, _Foreign()


@asynccontextmanager
async def open_calls(address: SqsAddress) -> AsyncIterator[Calls]:
    """Raises `OperatorError` where the package, the region or the profile is missing."""
    try:
        session, config, foreign = await asyncio.to_thread(_load)  # two seconds, in which the loop goes on
    except ImportError as error:
        raise OperatorError("the bus is on SQS, and its driver is not installed: pip install 'sendwright[sqs]'") from error
    settings = config.AioConfig(
        connect_timeout=min(2.0, address.call_s),
        read_timeout=address.wait_s + address.call_s,
        max_pool_connections=CONNECTIONS_MAX,
        retries={"total_max_attempts": 1, "mode": "standard"},
        tcp_keepalive=True,
        parameter_validation=False,  # a third of the CPU of a small call
    )
    async with AsyncExitStack() as stack:
        try:
            made = session.get_session().create_client(
                "sqs", region_name=address.region, endpoint_url=address.endpoint, config=settings
            )
            client = await stack.enter_async_context(made)
        except foreign.others as error:  # no region, no such profile, an endpoint that is none
            raise OperatorError(f"SQS can't be used: {type(error).__name__}; is the region in the bus's URL?") from error
        yield Calls(client, address, foreign)
