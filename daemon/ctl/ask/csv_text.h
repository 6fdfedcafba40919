// Threads: any; a pure function.
#pragma once

#include <string>
#include <string_view>

namespace natsession::ctl {

// Appends one value of a line of CSV, in quotes where it must be; no comma.
void append_csv(std::string_view text, std::string& out);

}  // namespace natsession::ctl
