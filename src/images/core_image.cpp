// core-TID.img: the registers of a thread. Field numbers: core.proto, core-x86.proto, core-aarch64.proto.
#include <algorithm>

#include "images/fields.h"
#include "images/messages.h"

namespace cpulevel::images {
namespace {

Result<void> parse_x86_registers(std::string_view message, Core& core) {
    constexpr std::uint64_t kCompatMode = 2, kCode32 = 0x23;
    std::uint64_t code = 0, mode = 1;
    auto done = for_each_field(message, [&](const WireField& field) -> Result<void> {
        switch (field.number) {
            case 18: return store(field, code);
            case 20: core.has_registers = true; return store(field, core.stack_pointer);
            case 28: return store(field, mode);
            default: return {};
        }
    });
    core.is_32bit = mode == kCompatMode || code == kCode32;
    return done;
}

// Each component of the XSAVE area is a field of numbers; in use if one is not zero.
Result<void> parse_xsave(std::string_view message, Core& core) {
    std::uint64_t described = 3;  // x87 and SSE are elsewhere
    std::uint64_t header = 0;
    std::uint64_t in_use = 0;
    const auto component = [&](const WireField& field, std::uint64_t bits) -> Result<void> {
        const auto numbers = repeated_numbers(field);
        if (!numbers) return std::unexpected(numbers.error());
        described |= bits;
        if (std::ranges::any_of(*numbers, [](std::uint64_t n) { return n != 0; })) in_use |= bits;
        if (bits == 0x200 && !numbers->empty()) core.pkru = static_cast<std::uint32_t>(numbers->front());
        return {};
    };
    auto done = for_each_field(message, [&](const WireField& field) -> Result<void> {
        switch (field.number) {
            case 1: return store(field, header);
            case 2: return component(field, 0x4);
            case 3: return component(field, 0x8);
            case 4: return component(field, 0x10);
            case 5: return component(field, 0x20);
            case 6: return component(field, 0x40);
            case 7: return component(field, 0x80);
            case 8: return component(field, 0x200);
            case 9: {  // CET: the control register (bit 0: shadow stack enabled), the shadow stack pointer
                const auto inner = bytes_of(field);
                if (!inner) return std::unexpected(inner.error());
                return for_each_field(*inner, [&](const WireField& part) -> Result<void> {
                    std::uint64_t control = 0;
                    if (part.number != 1) return {};
                    auto stored = store(part, control);
                    core.shadow_stack = (control & 1U) != 0;
                    return stored;
                });
            }
            default: return {};
        }
    });
    constexpr std::uint64_t kShadowStackState = 3U << 11U;
    core.state_header = header;
    core.state_in_use = (header & 3U) | (header & in_use) | (header & ~described & ~kShadowStackState);
    return done;
}

Result<void> parse_x86_state(std::string_view message, Core& core) {
    return for_each_field(message, [&](const WireField& field) -> Result<void> {
        if (field.number != 13) return {};
        const auto xsave = bytes_of(field);
        return xsave ? parse_xsave(*xsave, core) : std::unexpected(xsave.error());
    });
}

Result<void> parse_x86_thread(std::string_view message, Core& core) {
    return for_each_field(message, [&](const WireField& field) -> Result<void> {
        if (field.number != 2 && field.number != 3) return {};
        const auto inner = bytes_of(field);
        if (!inner) return std::unexpected(inner.error());
        return field.number == 2 ? parse_x86_registers(*inner, core) : parse_x86_state(*inner, core);
    });
}

Result<void> parse_pointer_keys(std::string_view message, Core& core) {
    return for_each_field(message, [&](const WireField& field) -> Result<void> {
        if (field.number != 6) return {};  // the address keys; the generic key signs no addresses
        const auto keys = bytes_of(field);
        if (!keys) return std::unexpected(keys.error());
        core.pointer_keys = true;
        return for_each_field(*keys, [&](const WireField& key) -> Result<void> {
            std::uint64_t enabled = 0;
            if (key.number != 9) return {};
            auto stored = store(key, enabled);
            core.pointer_keys = enabled != 0;
            return stored;
        });
    });
}

Result<void> parse_arm_thread(std::string_view message, Core& core) {
    return for_each_field(message, [&](const WireField& field) -> Result<void> {
        if (field.number != 3 && field.number != 5) return {};
        const auto inner = bytes_of(field);
        if (!inner) return std::unexpected(inner.error());
        if (field.number == 5) return parse_pointer_keys(*inner, core);
        return for_each_field(*inner, [&](const WireField& part) -> Result<void> {
            if (part.number != 2) return {};
            core.has_registers = true;
            return store(part, core.stack_pointer);
        });
    });
}

Result<void> parse_task(std::string_view message, Core& core) {
    return for_each_field(message, [&](const WireField& field) -> Result<void> {
        switch (field.number) {
            case 1: {
                constexpr std::uint32_t kDead = 2, kZombie = 6;  // TASK_DEAD, TASK_ZOMBIE (criu/include/pid.h, task.h)
                std::uint32_t state = 0;
                auto stored = store(field, state);
                core.alive = state != kDead && state != kZombie;
                return stored;
            }
            case 5: {
                std::uint64_t mask = 0;
                auto stored = store(field, mask);
                if (!core.blocked_signals) core.blocked_signals = mask;
                return stored;
            }
            case 6: {
                const auto name = bytes_of(field);
                if (!name) return std::unexpected(name.error());
                core.name = *name;
                return {};
            }
            default: return {};
        }
    });
}

Result<void> parse_alternate_stack(std::string_view message, Core& core) {
    Core::AlternateStack stack;
    std::uint32_t flags = 0;
    auto done = for_each_field(message, [&](const WireField& field) -> Result<void> {
        switch (field.number) {
            case 1: return store(field, stack.address);
            case 2: return store(field, stack.size);
            case 3: return store(field, flags);
            default: return {};
        }
    });
    constexpr std::uint32_t kDisabled = 2;  // SS_DISABLE
    if ((flags & kDisabled) == 0 && stack.size != 0) core.alternate_stack = stack;
    return done;
}

Result<void> parse_thread(std::string_view message, Core& core) {
    return for_each_field(message, [&](const WireField& field) -> Result<void> {
        if (field.number == 6) {
            std::uint64_t mask = 0;
            auto stored = store(field, mask);
            core.blocked_signals = mask;
            return stored;
        }
        if (field.number != 7) return {};
        const auto inner = bytes_of(field);
        return inner ? parse_alternate_stack(*inner, core) : std::unexpected(inner.error());
    });
}

}  // namespace

Result<Core> parse_core(std::string_view message) {
    Core core;
    std::uint32_t machine = 0;
    auto done = for_each_field(message, [&](const WireField& field) -> Result<void> {
        if (field.number == 1) return store(field, machine);
        Result<void> (*parse)(std::string_view, Core&) = nullptr;
        switch (field.number) {
            case 2: parse = parse_x86_thread; break;
            case 3: parse = parse_task; break;
            case 5: parse = parse_thread; break;
            case 8: parse = parse_arm_thread; break;
            default: return {};
        }
        const auto inner = bytes_of(field);
        return inner ? parse(*inner, core) : std::unexpected(inner.error());
    });
    if (!done) return std::unexpected(done.error());
    switch (machine) {
        case 1: core.architecture = arch::Architecture::x86_64; break;
        case 3: core.architecture = arch::Architecture::aarch64; break;
        case 4: core.architecture = arch::Architecture::ppc64le; break;
        case 5: core.architecture = arch::Architecture::s390x; break;
        default:
            return usage_error("the image is of an architecture that this version does not know", {},
                               fmt::format("core_entry.mtype is {}", machine));
    }
    if (core.alive && !core.has_registers &&
        (core.architecture == arch::Architecture::x86_64 || core.architecture == arch::Architecture::aarch64)) {
        return usage_error("the image is damaged", {}, "it has no registers");
    }
    return core;
}

}  // namespace cpulevel::images
