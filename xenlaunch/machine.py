"""What a request says of the machine itself: CPUs, memory, firmware, how it boots, its labels.

What is left out is as the template has it; nothing here is guessed from the template's name.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from xenlaunch.fields import AtOnce, Carried, Key, Label, Size
from xenlaunch.frozen import Frozen

OnCrash = Literal[
    "destroy",
    "restart",
    "preserve",
    "coredump_and_destroy",
    "coredump_and_restart",
    "rename_restart",
]
OnEnd = Literal["destroy", "restart"]
Operation = Literal[
    "snapshot",
    "clone",
    "copy",
    "create_template",
    "revert",
    "checkpoint",
    "provision",
    "start",
    "start_on",
    "pause",
    "unpause",
    "clean_shutdown",
    "clean_reboot",
    "hard_shutdown",
    "hard_reboot",
    "power_state_reset",
    "suspend",
    "resume",
    "resume_on",
    "pool_migrate",
    "migrate_send",
    "shutdown",
    "changing_memory_live",
    "changing_dynamic_range",
    "changing_static_range",
    "changing_memory_limits",
    "changing_shadow_memory",
    "changing_VCPUs",
    "changing_VCPUs_live",
    "changing_NVRAM",
    "make_into_template",
    "import",
    "export",
    "metadata_export",
    "destroy",
    "create_vtpm",
    "call_plugin",
]
Text = Annotated[Carried, Field(max_length=4096)]
Words = Annotated[dict[Key, Text], Field(max_length=64), AtOnce]
Seconds = Annotated[StrictInt, Field(ge=0, le=86_400)]


class MemoryRange(Frozen):
    """Memory between which XAPI may balloon the VM."""

    min: Size
    max: Size

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.min > self.max:
            raise PydanticCustomError("memory", "has a min that is above its max")
        return self


Memory = Annotated[
    Annotated[Size, Tag("Size")] | Annotated[MemoryRange, Tag("MemoryRange")],
    Discriminator(
        lambda value: "MemoryRange" if isinstance(value, Mapping | MemoryRange) else "Size"
    ),
]


class Cpus(Frozen):
    """How much of the host's processors the VM gets."""

    vcpus: Annotated[StrictInt, Field(ge=1, le=1024)] | None = None
    vcpus_max: Annotated[StrictInt, Field(ge=1, le=1024)] | None = None
    cores_per_socket: Annotated[StrictInt, Field(ge=1, le=1024)] | None = None
    cpu_speed: Annotated[StrictInt, Field(ge=1, le=1_000_000)] | None = None
    limit_cpu_use: StrictBool = False
    cpu_formula: Literal["article", "newest"] = "article"
    cpu_weight: Annotated[StrictInt, Field(ge=1, le=65_535)] | None = None
    cpu_cap: Annotated[StrictInt, Field(ge=1, le=65_535)] | None = None
    nested_virtualisation: StrictBool | None = None

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        if self.vcpus and self.vcpus_max and self.vcpus > self.vcpus_max:
            raise PydanticCustomError("cpus", "has more vcpus than vcpus_max")
        most = self.vcpus_max or self.vcpus
        if self.cores_per_socket and most and most % self.cores_per_socket:
            raise PydanticCustomError(
                "cpus", "has a number of vCPUs that its cores_per_socket do not divide"
            )
        return self

    @model_validator(mode="after")
    def _shares_agree(self) -> Self:
        if self.limit_cpu_use and self.cpu_speed is None:
            raise PydanticCustomError("request", "has limit_cpu_use, but no cpu_speed to limit to")
        if self.cpu_speed is not None and (self.cpu_weight or self.cpu_cap):
            raise PydanticCustomError(
                "cpus", "has cpu_speed beside cpu_weight or cpu_cap, which it reckons itself"
            )
        return self


class Boot(Frozen):
    """What the machine finds when it is switched on, and what happens when it ends."""

    firmware: Literal["bios", "uefi"] | None = None
    secure_boot: StrictBool | None = None
    vtpm: StrictBool = False
    boot_order: Annotated[StrictStr, Field(pattern=r"^[cdn]{1,3}$")] | None = None
    pv_kernel: Text | None = None
    pv_ramdisk: Text | None = None
    pv_args: Text | None = None
    pv_bootloader: Text | None = None
    platform: Words = Field(default_factory=dict)
    after_crash: OnCrash = "destroy"
    after_shutdown: OnEnd = "destroy"
    after_reboot: OnEnd | None = None
    order: Annotated[StrictInt, Field(ge=0, le=1_000_000)] | None = None
    start_delay: Seconds | None = None
    shutdown_delay: Seconds | None = None
    ha_restart_priority: Literal["restart", "best-effort", "none"] | None = None

    @model_validator(mode="after")
    def _boots(self) -> Self:
        if self.boot_order and len(set(self.boot_order)) < len(self.boot_order):
            raise PydanticCustomError("boot", "has a boot_order that names a device twice")
        if self.firmware == "bios" and (self.secure_boot or self.vtpm):
            raise PydanticCustomError("boot", "has secure_boot or vtpm, which need firmware uefi")
        return self


class Labels(Frozen):
    """What people and their tools find on the VM."""

    description: Text | None = None
    tags: Annotated[tuple[Label, ...], Field(max_length=64)] = ()
    other_config: Words = Field(default_factory=dict)
    blocked_operations: Annotated[dict[Operation, Text], Field(max_length=64), AtOnce] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _keys_are_free(self) -> Self:
        taken = sorted(key for key in self.other_config if key in RESERVED or key.startswith(OURS))
        if taken:
            raise PydanticCustomError(
                "labels",
                "has in other_config what belongs to XAPI or to xenlaunch: {keys}",
                {"keys": ", ".join(taken)},
            )
        return self


OURS = "xenlaunch"
RESERVED = frozenset({"mac_seed", "disks", "default_template", "base_template_name", "postinstall"})


def nested_key(*, is_8_2: bool) -> str:
    """The key of ``platform`` by which XAPI lets a VM run virtual machines itself."""
    return "exp-nested-hvm" if is_8_2 else "nested-virt"


class Machine(Labels, Boot, Cpus):
    """All of it."""

    memory: Memory | None = None

    @model_validator(mode="after")
    def _memory_is_fixed_where_it_must_be(self) -> Self:
        if self.nested_virtualisation and isinstance(self.memory, MemoryRange):
            raise PydanticCustomError(
                "memory", "has a range of memory, and nested_virtualisation needs it fixed"
            )
        return self

    @property
    def least_memory(self) -> int | None:
        """What the VM is promised, in bytes."""
        return self.memory.min if isinstance(self.memory, MemoryRange) else self.memory

    @property
    def most_memory(self) -> int | None:
        """What the VM may have, in bytes."""
        return self.memory.max if isinstance(self.memory, MemoryRange) else self.memory

    def platform_wanted(self, *, is_8_2: bool = False) -> dict[str, str]:
        """The keys of ``platform`` that the request sets, its own and those that it implies."""
        wanted: dict[str, Any] = {
            "cores-per-socket": self.cores_per_socket,
            nested_key(is_8_2=is_8_2): self.nested_virtualisation,
            "secureboot": self.secure_boot,
        }
        implied = {key: str(value).lower() for key, value in wanted.items() if value is not None}
        return {**self.platform, **implied}
