"""The machines of the matrix: what QEMU (TCG) emulates, and what we expect of it."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Architecture:
    name: str  # as in our profiles
    debian: str  # as Debian's packages are called
    qemu: str
    qemu_package: str
    machine: tuple[str, ...]
    console: str
    kernel_image: str  # below boot/: its name begins so


X86_64 = Architecture("x86_64", "amd64", "qemu-system-x86_64", "qemu-system-x86", ("-machine", "pc,accel=tcg"), "ttyS0",
                      "vmlinuz-")
ARM64 = Architecture("aarch64", "arm64", "qemu-system-aarch64", "qemu-system-arm", ("-machine", "virt,accel=tcg"),
                     "ttyAMA0", "vmlinuz-")
ARCHITECTURES = {X86_64.name: X86_64, ARM64.name: ARM64}


@dataclasses.dataclass(frozen=True)
class Machine:
    name: str
    architecture: Architecture
    cpu: str
    kernel: str = ""  # a series of Debian's kernels; empty: the ordinary one
    kernel_arguments: str = ""
    inside: Machine | None = None  # the machine in whose KVM it runs; none: it is emulated itself

    @property
    def special(self) -> bool:
        """Runs only cases that name it."""
        return bool(self.kernel or self.inside)


# AMD's way of virtualization, which QEMU emulates (Intel's it does not). Without five-level page tables, which each access of the
# inner machine would go through.
SVM_HOST = Machine("svm-host", X86_64, "max,+svm,+npt,-la57")

# `max,pauth-impdef=on`: the architected pointer authentication is four times slower to emulate than everything else.
MACHINES = [
    Machine("x86-max", X86_64, "max"),
    Machine("haswell", X86_64, "Haswell"),
    Machine("nehalem", X86_64, "Nehalem"),
    Machine("arm-max", ARM64, "max,pauth-impdef=on"),
    Machine("neoverse-n1", ARM64, "neoverse-n1"),
    Machine("cortex-a72", ARM64, "cortex-a72"),
    # Newer kernels: what depends on them (BPF, PR_GET_AUXV) is tried on both.
    Machine("haswell-6.12", X86_64, "Haswell", "6.12"),
    Machine("cortex-a72-6.12", ARM64, "cortex-a72", "6.12"),
    # clearcpuid=111 is X86_FEATURE_SYSENTER32: a CPU of AMD's refuses SYSENTER to 32-bit programs, so that KVM can do it; QEMU's goes to half an address.
    # CPUID faulting, which QEMU does not emulate, and KVM does: for every guest, and Linux asks for it where the vendor is Intel.
    Machine("faulting", X86_64, "Haswell-noTSX,vendor=GenuineIntel,-vme,-pcid,-invpcid", kernel_arguments="clearcpuid=111",
            inside=SVM_HOST),
]

# The machines whose scans make `fleet.json`. arm-max has pointer authentication, which is executed without asking: it
# cannot share a level with machines that lack it.
FLEETS = {
    X86_64.name: ("x86-max", "haswell", "nehalem"),
    ARM64.name: ("neoverse-n1", "cortex-a72"),
}
# CTR_EL0.IDC differs between these two: who runs code that he has written himself must look at where he is.
FLEET_OPTIONS = {X86_64.name: (), ARM64.name: ("--accept-unmaskable",)}

# Not in the matrix: where checkpoints go (tests/travel).
EPYC = Machine("epyc", X86_64, "EPYC")
# With SVE and without pointer authentication: CRIU does not restore where its keys are missing.
ARM_SVE = Machine("arm-sve", ARM64, "max,pauth=off")
