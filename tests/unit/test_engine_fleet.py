"""smoke"""
from sendwright.model.states import MessageState
from .engine_world import *

@in_virtual_time
async def test_smoke() -> None:
    one = Vendor("one")
    async with World(one) as world:
        ids_ = await world.post_many(30)
        await world.settled(ids_, MessageState.SENT)
        assert len(one.calls) == 30
        await world.pass_time(3600)
