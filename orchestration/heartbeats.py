"""Signs of life: the process that works on a run says so in the instance's storage.

Every machine and container that shares the instance reads them there. What a process's number means
is known on its own machine alone, and there tells at once that it is gone; of a process elsewhere
it takes minutes of silence.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from json import dumps, loads
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import psutil
from dagster._core.definitions.executor_definition import IN_PROC_CONFIG
from dagster._core.execution.retries import RetryMode
from dagster._core.execution.step_dependency_config import StepDependencyConfig
from dagster._core.executor.in_process import InProcessExecutor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagster._core.execution.context.system import PlanOrchestrationContext
    from dagster._core.execution.plan.plan import ExecutionPlan

EVERY = 20.0
"""Seconds from one heartbeat to the next."""
SILENT = 300.0
"""Seconds without one after which a process on another machine counts as gone: clocks differ, and
a database may be out of reach for a while."""


@dataclass(frozen=True)
class Heartbeat:
    """The last sign of life of the process that works on a run.

    Attributes:
        machine: Where the process's number means something: a machine, or a container on it.
        pid: The process's number.
        time: When, in seconds since 1970.
    """

    machine: str
    pid: int
    time: float

    @classmethod
    def of(cls, instance: dg.DagsterInstance, run_id: str) -> Heartbeat | None:
        """That of a run; None where no process has said that it works on it."""
        key = _key(run_id)
        text = instance.daemon_cursor_storage.get_cursor_values({key}).get(key)
        return cls(**loads(text)) if text else None

    @classmethod
    def now(cls) -> Heartbeat:
        """This process's."""
        return cls(this_machine(), os.getpid(), time.time())

    def send(self, instance: dg.DagsterInstance, run_id: str) -> None:
        """Keeps it as the last one of a run."""
        instance.daemon_cursor_storage.set_cursor_values({_key(run_id): dumps(asdict(self))})

    @property
    def is_of_this_process(self) -> bool:
        """Whether this process sent it."""
        return (self.machine, self.pid) == (this_machine(), os.getpid())

    @property
    def has_stopped(self) -> bool:
        """Whether its process is gone."""
        if self.machine != this_machine():
            return time.time() - self.time > SILENT
        try:
            process = psutil.Process(self.pid)
            # In a container nobody may ask how it ended, and it stays a zombie. A later process may
            # have been given its number.
            is_there = process.status() != psutil.STATUS_ZOMBIE
            return not (is_there and process.create_time() <= self.time + 1.0)
        except psutil.NoSuchProcess:
            return True


@contextmanager
def beating(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Says that this process works on a run, now and for as long as this is open."""
    Heartbeat.now().send(instance, run_id)
    has_ended = threading.Event()

    def go_on() -> None:
        while not has_ended.wait(EVERY):
            with suppress(Exception):  # a database that is out of reach is told the next time
                Heartbeat.now().send(instance, run_id)

    thread = threading.Thread(target=go_on, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        has_ended.set()
        thread.join()


def _key(run_id: str) -> str:
    return f"anchorlake/heartbeat/{run_id}"


@cache
def this_machine() -> str:
    """What tells this machine, since it was started, and this container on it from others."""
    with suppress(OSError):
        booted = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{platform.node()}/{booted}/{os.readlink('/proc/self/ns/pid')}"
    return f"{platform.node()}/{psutil.boot_time():.0f}"


class _BeatingExecutor(InProcessExecutor):
    """Dagster's own, with heartbeats."""

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        with beating(plan_context.instance, plan_context.run_id):
            yield from super().execute(plan_context, execution_plan)


@dg.executor(name="in_process", config_schema=IN_PROC_CONFIG)
def one_process(context: dg.InitExecutorContext) -> dg.Executor:
    """Runs all steps in one process, so that they share the loaded model, and shows it is alive."""
    config: Any = context.executor_config
    return _BeatingExecutor(
        RetryMode.from_config(config["retries"]) or RetryMode.ENABLED,
        StepDependencyConfig.from_config(config.get("step_dependency_config")),
    )
