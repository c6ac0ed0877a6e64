#include "cli/html_report.h"

#include <fmt/format.h>

#include <cstdlib>
#include <ctime>

#include "cli/output.h"
#include "report/collect.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

// What a report shows: that many pools, and no more than a second of search for each.
constexpr std::size_t kMostPools = 4;
constexpr std::size_t kPoolBudget = 20000;

// The day, in UTC. SOURCE_DATE_EPOCH (reproducible-builds.org) makes the page of the same nodes the same bytes.
std::string today() {
    std::time_t now = std::time(nullptr);
    const char* given = std::getenv("SOURCE_DATE_EPOCH");
    if (const auto epoch = parse_decimal(given == nullptr ? "" : given)) now = static_cast<std::time_t>(*epoch);
    std::tm parts{};
    if (::gmtime_r(&now, &parts) == nullptr) return {};
    return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

}  // namespace

Result<void> write_html_report(const std::string& path, const level::Meet& meet, const fleet::Fleet& nodes,
                               const level::MeetOptions& how) {
    const fleet::Fleet fleet = report::merge_alike(nodes);
    std::vector<fleet::Pools> splits;
    for (std::size_t pools = 2; pools <= kMostPools && pools < fleet.types.size(); ++pools) {
        auto split = fleet::make_pools(
            fleet, {.pools = pools, .lose_at_most = {}, .never_lose = {}, .values = {}, .meet = how, .budget = kPoolBudget});
        if (!split) return std::unexpected(split.error());
        if (split->pools.size() == pools) splits.push_back(*std::move(split));  // fewer: more gain nothing
    }
    report::Report report = report::collect(meet, fleet, how, splits);
    report.made = today();
    report.version = CPULEVEL_VERSION;
    return write_output(path, report::page(report));
}

}  // namespace cpulevel::cli
