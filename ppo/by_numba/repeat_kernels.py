"""Kernels that act on observations of bytes, and compute each distinct one only once in a rollout.

A hash table finds the observations of a rollout that repeat. Axes: steps T, workers N, K bytes of an
observation, D distinct observations, R of those at once, O outputs of the policy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numerics.compiler import entry, jit
from numerics.functions import f32
from ppo.by_numba import layers
from ppo.by_numba.acting_kernels import (
    ActionArrays,
    Actor,
    outputs_from_projection,
    sample_actions,
    values_from_projection,
)
from ppo.by_numba.distributions import FORBIDDEN, forbid_observed, log_softmax
from ppo.by_numba.inputs import copy


class DistinctObservations(NamedTuple):
    """The distinct observations of a rollout so far, and the policy's outputs for them.

    Attributes:
        bytes: (T * N, K) uint8, all observations.
        masks: (T * N, O) uint8, 0 where a choice is forbidden; (0, 0) without masks.
        weights: (K + O,) uint32, random weights of the hash function.
        table: (a power of 2,) int64, hash table of the distinct observations' indices, with linear
            probing; -1 in free slots.
        first: (T * N,) int64, position of each distinct observation's first occurrence; D in use.
        numbers: (T * N,) int64, index of each position's observation, from 0 to D - 1.
        num_distinct: (1,) int64, D.
        outputs: (T * N, O) float32, log-probabilities of choices, or means of Gaussians, for each
            distinct observation; D rows in use.
        places: (K,) int64, scratch array for the indices of an observation's bytes that aren't zero.
    """

    bytes: np.ndarray
    masks: np.ndarray
    weights: np.ndarray
    table: np.ndarray
    first: np.ndarray
    numbers: np.ndarray
    num_distinct: np.ndarray
    outputs: np.ndarray
    places: np.ndarray


@entry
def act_on_bytes(
    actor: Actor,
    distinct: DistinctObservations,
    begin: int,
    noise: np.ndarray,
    actions: ActionArrays,
) -> None:
    """Sample the actions of N workers, and compute their log-probabilities.

    Args:
        actor: the network.
        distinct: the rollout's observations, with those of the present step.
        begin: the position of the present step's first observation.
        noise: (N, O), random numbers: Gumbel for categorical distributions, else standard normal.
        actions: the result, written in place.
    """
    before = distinct.num_distinct[0]
    for position in range(begin, begin + len(noise)):
        distinct.numbers[position] = _find_or_add(distinct, position)
    most = len(actor.work.observed)
    for start in range(before, distinct.num_distinct[0], most):
        _compute_outputs(actor, distinct, start, min(start + most, distinct.num_distinct[0]))
    numbers = distinct.numbers[begin : begin + len(noise)]
    sample_actions(actor, distinct.outputs, numbers, noise, actions)


@jit
def _find_or_add(distinct: DistinctObservations, position: int) -> int:
    """Return an observation's index among the distinct ones; a new one gets the next index."""
    table, last = distinct.table, len(distinct.table) - 1
    slot = _hash(distinct, position) & last
    while table[slot] >= 0:
        if _are_equal(distinct, distinct.first[table[slot]], position):
            return table[slot]
        slot = (slot + 1) & last
    number = distinct.num_distinct[0]
    table[slot], distinct.first[number] = number, position
    distinct.num_distinct[0] += 1
    return number


@jit
def _hash(distinct: DistinctObservations, position: int) -> int:
    """Return an observation's hash: a sum of its bytes, each times its random weight."""
    total, observed = np.uint32(0), distinct.bytes[position]
    for place in range(len(observed)):
        total += observed[place] * distinct.weights[place]
    if distinct.masks.size:
        mask, weights = distinct.masks[position], distinct.weights[len(observed) :]
        for place in range(len(mask)):
            total += mask[place] * weights[place]
    # A product's higher bits depend on more bits of its factors than the lower ones do.
    return np.int64(np.uint32(total) >> np.uint32(8))


@jit
def _are_equal(distinct: DistinctObservations, position: int, other: int) -> bool:
    different = np.uint8(0)
    for place in range(distinct.bytes.shape[1]):
        different |= distinct.bytes[position, place] ^ distinct.bytes[other, place]
    if distinct.masks.size:
        for place in range(distinct.masks.shape[1]):
            different |= distinct.masks[position, place] ^ distinct.masks[other, place]
    return different == 0


@jit
def _compute_outputs(actor: Actor, distinct: DistinctObservations, begin: int, end: int) -> None:
    """Compute the policy's outputs for the distinct observations from index `begin` to `end`."""
    rows, work = end - begin, actor.work
    _project_bytes(
        actor, actor.network.trunk, distinct.bytes, distinct.first[begin:end], distinct.places
    )
    outputs_from_projection(actor, rows)
    if distinct.masks.size:
        forbid_observed(work.outputs, distinct.masks, distinct.first[begin:end], FORBIDDEN)
    if len(actor.policy.branches):
        log_softmax(actor.policy.branches, rows, work)
    copy(work.outputs[:rows], distinct.outputs[begin:end])


@jit
def _project_bytes(
    actor: Actor,
    trunk: np.ndarray,
    observed: np.ndarray,
    positions: np.ndarray,
    places: np.ndarray,
) -> None:
    """Multiply sparse observations (R, K) by the weight of a trunk's first layer."""
    weight, outputs = layers.weight_of(trunk[0], actor.weights), actor.work.values[0]
    for row in range(len(positions)):
        count, position = 0, positions[row]
        for place in range(observed.shape[1]):
            # Written in any case: the processor would often mispredict a branch.
            places[count] = place
            count += observed[position, place] != 0
        for column in range(weight.shape[1]):
            outputs[row, column] = f32(0)
        for place in places[:count]:
            value = f32(observed[position, place])
            for column in range(weight.shape[1]):
                outputs[row, column] += value * weight[place, column]


@entry
def values_of_bytes(
    actor: Actor, observed: np.ndarray, places: np.ndarray, values: np.ndarray
) -> None:
    """Estimate the values of observations.

    Args:
        actor: the network.
        observed: (N, K) uint8, observations.
        places: (K,) int64, scratch array for the indices of an observation's bytes that aren't zero.
        values: (N,), the result, written in place.
    """
    most = len(actor.work.observed)
    for begin in range(0, len(values), most):
        end = min(begin + most, len(values))
        trunk = actor.network.value_trunk
        _project_bytes(actor, trunk, observed, np.arange(begin, end), places)
        values_from_projection(actor, values[begin:end])
