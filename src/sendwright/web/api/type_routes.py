"""The rows of the route table that are about types and layouts."""

from __future__ import annotations

from sendwright.model.layouts import LayoutBody
from sendwright.model.types import TypeBody
from sendwright.web.api import (
    layouts,
    type_shapes,
    types,
)
from sendwright.web.api.table import Call

TYPES = "Types"

TYPE_ROUTES: tuple[Call, ...] = (
    Call(
        method="GET",
        path="/v1/types",
        scope="read",
        tag=TYPES,
        summary="List types by name, the newest version of each",
        handler=types.list_types,
        query=type_shapes.TypesQuery,
        answer=type_shapes.TypeList,
        errors=(503,),
    ),
    Call(
        method="PUT",
        path="/v1/types/{name}",
        scope="admin",
        tag=TYPES,
        summary="Make a version of a type; what says the same as the newest makes none",
        handler=types.put_type,
        body=TypeBody,
        judged_whole=True,
        answer=type_shapes.TypeView,
        errors=(503,),
    ),
    Call(
        method="GET",
        path="/v1/types/{name}",
        scope="read",
        tag=TYPES,
        summary="One type, in its newest version or another",
        handler=types.get_type,
        query=type_shapes.TypeQuery,
        answer=type_shapes.TypeView,
        errors=(503,),
    ),
    Call(
        method="DELETE",
        path="/v1/types/{name}",
        scope="admin",
        tag=TYPES,
        summary="Delete a type; what was accepted of it goes on",
        handler=types.delete_type,
        status=204,
        errors=(503,),
    ),
    Call(
        method="POST",
        path="/v1/types/{name}/preview",
        scope="read",
        tag=TYPES,
        summary="What a type would say on every channel; sends nothing",
        handler=types.preview_type,
        body=type_shapes.PreviewWish,
        answer=type_shapes.Preview,
        errors=(503,),
    ),
    Call(
        method="GET",
        path="/v1/layouts",
        scope="read",
        tag=TYPES,
        summary="List layouts by name, the newest version of each",
        handler=layouts.list_layouts,
        query=type_shapes.LayoutsQuery,
        answer=type_shapes.LayoutList,
        errors=(503,),
    ),
    Call(
        method="PUT",
        path="/v1/layouts/{name}",
        scope="admin",
        tag=TYPES,
        summary="Make a version of a layout; what says the same as the newest makes none",
        handler=layouts.put_layout,
        body=LayoutBody,
        judged_whole=True,
        answer=type_shapes.LayoutView,
        errors=(503,),
    ),
    Call(
        method="GET",
        path="/v1/layouts/{name}",
        scope="read",
        tag=TYPES,
        summary="One layout, in its newest version or another",
        handler=layouts.get_layout,
        query=type_shapes.LayoutQuery,
        answer=type_shapes.LayoutView,
        errors=(503,),
    ),
    Call(
        method="DELETE",
        path="/v1/layouts/{name}",
        scope="admin",
        tag=TYPES,
        summary="Delete a layout that no type names; what was accepted with it goes on",
        handler=layouts.delete_layout,
        status=204,
        errors=(409, 503),
    ),
)
