// A record as a message of Protocol Buffers: natsession.SessionRecord of
// packaging/kafka/session_record.proto.
//
// Why protobuf and not Avro: whoever reads Avro needs the schema that the writer had, with each message or
// from a registry, and with another one reads nonsense. Of protobuf a field's number stands before its value:
// who has an older schema skips what is new, and who has a newer one finds what is old.
// Threads: any; keeps no state.
// Source: protobuf.dev, "Encoding"
#pragma once

#include <string>

#include "record/session_record.h"

namespace natsession {

// Appends the message, without its length.
void append_protobuf(const SessionRecord& record, std::string& out);

}  // namespace natsession
