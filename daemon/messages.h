// The daemon's own messages: one line each to stderr, with a level that journald understands when it is
// there.
// Threads: any. Each message is one write(), so lines never mix.
#pragma once

#include <string_view>

#include "config/config.h"

namespace natsession {

// Looks whether stderr is the journal. Before the first message.
void open_messages(std::string_view program, LogLevel least);
// From now on only messages of this level or more important ones are written.
void set_message_level(LogLevel least);

void log_error(std::string_view text);
void log_warning(std::string_view text);
void log_info(std::string_view text);
void log_debug(std::string_view text);

}  // namespace natsession
