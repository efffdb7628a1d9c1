package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// Frame types, sizes and the octet that ends each frame (0-9-1 §4.2.3).
const (
	FrameMethod    = 1
	FrameHeader    = 2
	FrameBody      = 3
	FrameHeartbeat = 8

	FrameEnd      = 0xCE
	FrameOverhead = 8    // octets of a frame around its payload: type, channel, size, end
	FrameMinSize  = 4096 // every peer accepts frames of this size, overhead included
)

// ProtocolHeader is what a client sends first.
const ProtocolHeader = "AMQP\x00\x00\x09\x01"

const frameHeaderSize = 7

// Frame is one frame as received. Payload aliases the bytes that were parsed.
type Frame struct {
	Type    uint8
	Channel uint16
	Payload []byte
}

// ParseFrame reads the first frame of b and returns the number of octets it takes. When b holds only a
// part of it, n is 0 and err is nil: call again with more.
//
// A frame larger than maxSize, overhead included, is refused as soon as its first seven octets are there.
// With maxSize 0 the only limit is the 32 bits of the size field.
//
// Errors are [*Error] with code 501 for a wrong type, size or end and for a heartbeat with a payload, with
// code 505 for a heartbeat on another channel than 0, and [*ProtocolHeaderError].
func ParseFrame(b []byte, maxSize uint32) (f Frame, n int, err error) {
	if len(b) == 0 {
		return Frame{}, 0, nil
	}
	switch b[0] {
	case FrameMethod, FrameHeader, FrameBody, FrameHeartbeat:
	default:
		return Frame{}, 0, notAFrame(b)
	}
	if len(b) < frameHeaderSize {
		return Frame{}, 0, nil
	}
	f.Type = b[0]
	f.Channel = binary.BigEndian.Uint16(b[1:])
	size := uint64(binary.BigEndian.Uint32(b[3:]))
	if maxSize != 0 && size+FrameOverhead > uint64(maxSize) {
		return Frame{}, 0, fault(codeFrameError, "frame", "%d octets exceed the limit of %d", size+FrameOverhead, maxSize)
	}
	if f.Type == FrameHeartbeat {
		if err := checkHeartbeat(f.Channel, size); err != nil {
			return Frame{}, 0, err
		}
	}
	end := frameHeaderSize + size
	if uint64(len(b)) <= end {
		return Frame{}, 0, nil
	}
	if b[end] != FrameEnd {
		return Frame{}, 0, fault(codeFrameError, "frame", "ends with 0x%02x, not 0xce", b[end])
	}
	f.Payload = b[frameHeaderSize:end:end]
	return f, int(end) + 1, nil
}

// PeekFrame returns type and channel of the frame that b begins with, and the size of its payload, without
// checking any of them; ok is false while they are not there.
func PeekFrame(b []byte) (f Frame, size uint32, ok bool) {
	if len(b) < frameHeaderSize {
		return Frame{}, 0, false
	}
	return Frame{Type: b[0], Channel: binary.BigEndian.Uint16(b[1:])}, binary.BigEndian.Uint32(b[3:]), true
}

func checkHeartbeat(channel uint16, size uint64) error {
	if channel != 0 {
		return fault(codeUnexpectedFrame, "heartbeat frame", "on channel %d, not 0", channel)
	}
	if size != 0 {
		return fault(codeFrameError, "heartbeat frame", "carries %d octets", size)
	}
	return nil
}

// notAFrame explains bytes that start with no frame type. It returns nil while they may still become a
// protocol header.
func notAFrame(b []byte) error {
	const name = "AMQP"
	if n := min(len(b), len(name)); string(b[:n]) == name[:n] {
		if len(b) < len(ProtocolHeader) {
			return nil
		}
		return &ProtocolHeaderError{ID: b[4], Major: b[5], Minor: b[6], Revision: b[7]}
	}
	hint := ""
	switch {
	case b[0] == 0x15 || b[0] == 0x16:
		hint = " (TLS record: this port expects TLS, or the peer does)"
	case bytes.HasPrefix([]byte("HTTP"), b[:min(len(b), 4)]):
		hint = " (HTTP: this is not an AMQP port)"
	}
	return fault(codeFrameError, "frame", "unknown type %d%s", b[0], hint)
}

// AppendHeartbeat appends a heartbeat frame.
func AppendHeartbeat(dst []byte) []byte {
	return append(dst, FrameHeartbeat, 0, 0, 0, 0, 0, 0, FrameEnd)
}

// AppendBody appends body as body frames of at most frameMax octets each, overhead included, and none for
// an empty body. With frameMax 0 it is one frame. A frameMax below [FrameMinSize] counts as FrameMinSize.
func AppendBody(dst []byte, channel uint16, body []byte, frameMax uint32) []byte {
	chunk := uint64(math.MaxUint32)
	if frameMax != 0 {
		chunk = uint64(max(frameMax, FrameMinSize)) - FrameOverhead
	}
	frames := (uint64(len(body)) + chunk - 1) / chunk
	dst = slices.Grow(dst, len(body)+int(frames)*FrameOverhead)
	for len(body) > 0 {
		part := body[:min(chunk, uint64(len(body)))]
		body = body[len(part):]
		dst = appendFrameStart(dst, FrameBody, channel, uint32(len(part)))
		dst = append(dst, part...)
		dst = append(dst, FrameEnd)
	}
	return dst
}

func appendFrameStart(dst []byte, typ uint8, channel uint16, size uint32) []byte {
	return append(dst, typ, byte(channel>>8), byte(channel), byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
}

// endFrame completes the frame that starts at dst[start:] and was begun with size 0.
func endFrame(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start+3:], uint32(len(dst)-start-frameHeaderSize))
	return append(dst, FrameEnd)
}
