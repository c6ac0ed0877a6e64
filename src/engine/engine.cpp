#include "engine/engine.h"

namespace cpulevel::engine {

std::string_view name(ChannelState state) {
    switch (state) {
        case ChannelState::full: return "full";
        case ChannelState::partial: return "partial";
        case ChannelState::none: return "none";
    }
    return "none";
}

}  // namespace cpulevel::engine
