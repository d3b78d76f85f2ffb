"""Computes the view in MiniGrid, equal to MiniGrid's own and several times faster.

"The agent" is MiniGrid's name for the figure that moves through the grid. A view of size V is a list of
V * V cells, in rows from the farthest to the agent's own, and an equally long list of whether each cell
is visible. The agent stands in the middle of the last row.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX, STATE_TO_IDX
from minigrid.core.grid import Grid
from minigrid.core.world_object import Wall, WorldObj
from minigrid.minigrid_env import MiniGridEnv

Cells = list[WorldObj | None]

_WALL = Wall()
_EMPTY = (OBJECT_TO_IDX["empty"], 0, 0)
_UNSEEN = (OBJECT_TO_IDX["unseen"], 0, 0)
_FACING_UP = 3


def is_standard(environment: MiniGridEnv) -> bool:
    """Return whether the environment observes as MiniGrid's base class does."""
    names = ("gen_obs", "gen_obs_grid", "get_view_exts", "get_pov_render")
    kind = type(environment)
    return all(getattr(kind, name) is getattr(MiniGridEnv, name) for name in names)


def observe(environment: MiniGridEnv) -> dict[str, Any]:
    """Return the observation of `MiniGridEnv.gen_obs`, with `image` (V, V, 3) uint8."""
    cells, visible = agent_view(environment)
    encoded = [
        (_EMPTY if cell is None else cell.encode()) if seen else _UNSEEN
        for cell, seen in zip(cells, visible, strict=True)
    ]
    size = environment.agent_view_size
    # Rows x columns -> columns x rows, MiniGrid's order.
    flat = np.frombuffer(bytearray(chain.from_iterable(encoded)), np.uint8)
    image = flat.reshape(size, size, 3).transpose(1, 0, 2)
    return {"image": image, "direction": environment.agent_dir, "mission": environment.mission}


def render(environment: MiniGridEnv, tile_size: int) -> np.ndarray:
    """Return the picture of `MiniGridEnv.get_pov_render`, (V * tile_size, V * tile_size, 3) uint8."""
    cells, visible = agent_view(environment)
    size = environment.agent_view_size
    agent = _agent_position(size)
    tiles = [
        _tile(cell, index == agent, seen, tile_size)
        for index, (cell, seen) in enumerate(zip(cells, visible, strict=True))
    ]
    # Rows x columns x height x width -> rows x height x columns x width.
    image = np.stack(tiles).reshape(size, size, tile_size, tile_size, 3).transpose(0, 2, 1, 3, 4)
    return image.reshape(size * tile_size, size * tile_size, 3)


# MiniGrid's own cache of tiles holds floats, which would be converted to uint8 at every step.
_tiles: dict[tuple[Any, ...], np.ndarray] = {}


def _tile(cell: WorldObj | None, is_agent: bool, seen: bool, tile_size: int) -> np.ndarray:
    key = (None if cell is None else cell.encode(), is_agent, seen, tile_size)
    if key not in _tiles:
        direction = _FACING_UP if is_agent else None
        _tiles[key] = Grid.render_tile(cell, direction, seen, tile_size).astype(np.uint8)
    return _tiles[key]


def render_many(views: np.ndarray, tile_size: int, images: np.ndarray) -> None:
    """Draw encoded views as `render` draws the views themselves.

    An encoded view is enough: it marks unseen cells, all others are highlighted, and the agent's own
    cell shows what it carries.

    Args:
        views: (E, V, V, 3) uint8, columns x rows: object, colour and state of each cell.
        tile_size: pixels along the side of a cell.
        images: (E, V * tile_size, V * tile_size, 3) uint8, contiguous; filled with the pictures.
    """
    count, size = views.shape[:2]
    lines = _tile_lines(tile_size)
    # Columns x rows -> rows x columns.
    tiles = (views @ _TILE_WEIGHTS).transpose(0, 2, 1).astype(np.intp)
    tiles[:, size - 1, size // 2] += _TILES
    # E x rows x 1 x columns, so that a picture is lines of pixels, one tile after the other.
    indices = tiles[:, :, np.newaxis] * tile_size + np.arange(tile_size)[:, np.newaxis]
    shape = (count, size, tile_size, size, 3 * tile_size)
    # The indices are in range, and every mode but "raise" avoids a copy of the result.
    np.take(lines, indices, 0, images.reshape(shape), mode="clip")


# Tiles are numbered by object, colour and state: first those without the agent, then those with it.
_TILE_SHAPE = (len(OBJECT_TO_IDX), len(COLOR_TO_IDX), len(STATE_TO_IDX))
_TILES = math.prod(_TILE_SHAPE)
_TILE_WEIGHTS = np.array([_TILE_SHAPE[1] * _TILE_SHAPE[2], _TILE_SHAPE[2], 1], np.uint8)


@cache
def _tile_lines(tile_size: int) -> np.ndarray:
    """Return the lines of pixels of all tiles, (2 * _TILES * tile_size, 3 * tile_size) uint8."""
    tiles = [
        _tile(WorldObj.decode(*cell), is_agent, cell[0] != _UNSEEN[0], tile_size)
        for is_agent in (False, True)
        for cell in np.ndindex(_TILE_SHAPE)
    ]
    return np.stack(tiles).reshape(-1, 3 * tile_size)


def agent_view(environment: MiniGridEnv) -> tuple[Cells, list[bool]]:
    """Return the cells in view, None where empty or unseen, and whether each is seen."""
    size = environment.agent_view_size
    left, top, _, _ = environment.get_view_exts()
    world = _crop(environment.grid, left, top, size)
    cells: Cells = list(_rotation(environment.agent_dir, size)(world))
    if environment.see_through_walls:
        visible = [True] * (size * size)
    else:
        visible = _visibility(cells, size)
        cells = [cell if seen else None for cell, seen in zip(cells, visible, strict=True)]
    # What the agent carries appears at its own position.
    cells[_agent_position(size)] = environment.carrying
    return cells, visible


def _agent_position(size: int) -> int:
    return size * (size - 1) + size // 2


def _crop(grid: Grid, left: int, top: int, size: int) -> Cells:
    """Return a square of the grid, row by row, with walls outside of the grid."""
    begin, end = max(left, 0), min(left + size, grid.width)
    before: Cells = [_WALL] * (begin - left)
    after: Cells = [_WALL] * (left + size - end)
    cells: Cells = []
    for row in range(top, top + size):
        if 0 <= row < grid.height:
            start = row * grid.width
            cells += before + grid.grid[start + begin : start + end] + after
        else:
            cells += [_WALL] * size
    return cells


@cache
def _rotation(direction: int, size: int) -> itemgetter:
    """Return a function that puts a crop's cells in the order of the agent's direction."""
    indices = np.rot90(np.arange(size * size).reshape(size, size), direction + 1)
    return itemgetter(*indices.ravel().tolist())


def _visibility(cells: Cells, size: int) -> list[bool]:
    """Return whether each cell is visible: light spreads from row to row through clear cells."""
    rows: list[tuple[bool, ...]] = []
    visible = tuple(column == size // 2 for column in range(size))
    for start in range(size * (size - 1), -1, -size):
        clear = tuple([cell is None or cell.see_behind() for cell in cells[start : start + size]])
        visible, above = _spread(visible, clear)
        rows.append(visible)
        visible = above
    return [seen for row in reversed(rows) for seen in row]


@lru_cache(maxsize=2**16)
def _spread(
    visible: tuple[bool, ...], clear: tuple[bool, ...]
) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """Spread light within a row, to the right and then to the left, and into the row above.

    Args:
        visible: for each cell of the row, whether the row below lights it.
        clear: for each cell of the row, whether light passes through it.

    Returns:
        For each cell of this row whether it is lit, and for each cell of the row above whether this
        row lights it.
    """
    lit, above = list(visible), [False] * len(visible)
    last = len(visible) - 1
    to_the_right = ((column, column + 1) for column in range(last))
    to_the_left = ((column, column - 1) for column in range(last, 0, -1))
    for column, neighbour in (*to_the_right, *to_the_left):
        if lit[column] and clear[column]:
            lit[neighbour] = above[neighbour] = above[column] = True
    return tuple(lit), tuple(above)
