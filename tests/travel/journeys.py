"""Who travels where, and what must come of it."""

from __future__ import annotations

import dataclasses

NATIVE = "native"  # the machine that runs the test, whatever its CPU is


@dataclasses.dataclass(frozen=True)
class Traveller:
    name: str
    command: tuple[str, ...]  # in /travel/bin, but for what begins with a slash
    level: str = "x86-64-v2"


STRINGS = Traveller("strings", ("strings",))
THREADS = Traveller("threads", ("threads",))
HANDLER = Traveller("handler", ("handler",))
STATIC = Traveller("strings_static", ("strings_static",))
CRYPTO = Traveller("crypto", ("crypto",))
PYTHON = Traveller("python", ("/usr/bin/python3", "-S", "-I", "/travel/bin/python.py"))
ASKS = Traveller("asks", ("asks",))
AVX2 = Traveller("avx2", ("avx2",), level="x86-64-v3")
LOW = (STRINGS, THREADS, HANDLER, STATIC, CRYPTO, PYTHON, ASKS)


@dataclasses.dataclass(frozen=True)
class Journey:
    traveller: Traveller
    stops: tuple[str, ...]
    levelled: bool = True  # without: a control, which must not survive

    @property
    def level(self) -> str:
        return self.traveller.level if self.levelled else "-"

    @property
    def departure(self) -> str:
        """The name of the process's folder, which it keeps wherever it goes."""
        # Who goes on has a folder of its own: it is dumped where others end.
        on = ".on" if len(self.stops) > 2 else ""
        return f"{self.traveller.name}.{self.level if self.levelled else 'bare'}.{self.stops[0]}{on}"

    @property
    def name(self) -> str:
        return f"{'' if self.levelled else 'control.'}{self.traveller.name}.{'-'.join(self.stops)}"


def both(travellers: tuple[Traveller, ...], *stops: str) -> list[Journey]:
    return [Journey(traveller, stops, levelled) for traveller in travellers for levelled in (True, False)]


def x86_64() -> list[Journey]:
    journeys = []
    # Down from a CPU with AVX-512, which none of the emulated machines has.
    journeys += both(LOW, NATIVE, "nehalem")
    for machine in ("haswell", "epyc", "x86-max"):
        journeys += both((*LOW, AVX2), NATIVE, machine)
    # Up: a resolver that saves 832 bytes where the CPU writes more. What binds nothing lazily after it has arrived survives
    # that also bare, so it is no control.
    journeys += both((STRINGS, THREADS), "haswell", NATIVE)
    journeys += [Journey(traveller, ("haswell", NATIVE)) for traveller in (HANDLER, STATIC, CRYPTO, PYTHON, ASKS, AVX2)]
    # On and on, and back: what arrives at last has bound functions on three CPUs.
    journeys += [Journey(traveller, (NATIVE, "nehalem", "haswell", NATIVE)) for traveller in LOW]
    journeys.append(Journey(STRINGS, ("haswell", "nehalem", "x86-max", "haswell")))
    # The same without this machine's CPU, which may be any.
    journeys += both((STRINGS, CRYPTO), "haswell", "nehalem")
    journeys += both((STRINGS, CRYPTO), "x86-max", "nehalem")
    journeys += both((STRINGS, THREADS), "haswell", "x86-max")
    return journeys


def aarch64() -> list[Journey]:
    def on_arm(traveller: Traveller) -> Traveller:
        return dataclasses.replace(traveller, level="armv8.0-a")

    journeys = []
    for stops in (("neoverse-n1", "cortex-a72"), ("arm-sve", "neoverse-n1")):
        journeys += [Journey(on_arm(traveller), stops) for traveller in (STRINGS, THREADS, HANDLER, STATIC, CRYPTO, PYTHON)]
    # Atomic instructions (LSE), which libc and libgcc choose by HWCAP_ATOMICS, and libcrypto's SHA-512 and SHA-3. What of the
    # others is chosen by a feature that only the first machine has is little (glibc takes SVE on few CPUs), so they are no control.
    journeys.append(Journey(on_arm(THREADS), ("neoverse-n1", "cortex-a72"), levelled=False))
    journeys.append(Journey(on_arm(CRYPTO), ("arm-sve", "neoverse-n1"), levelled=False))
    return journeys
