package engine

import (
	"errors"
	"unicode/utf8"
)

// The types of Engine.IO packets: the first character of each. They are the same
// in protocol 3 and 4.
const (
	typeOpen    = '0'
	typeClose   = '1'
	typePing    = '2'
	typePong    = '3'
	typeMessage = '4'
	typeUpgrade = '5'
	typeNoop    = '6'
)

// What a client and a server say to each other to try out a WebSocket.
const (
	probePing = "2probe"
	probePong = "3probe"
)

// Frame is a packet as it travels, ready for any session. It must not be changed,
// because all the sessions of a broadcast share it.
type Frame []byte

// NewFrame makes the frame of a message.
func NewFrame(message string) Frame { return frame(typeMessage, message) }

func frame(kind byte, data string) Frame {
	f := make(Frame, 0, 1+len(data))
	return append(append(f, kind), data...)
}

// packet is one packet from a client.
type packet struct {
	kind byte
	data string
}

var (
	errEmptyPacket = errors.New("an empty packet")
	errBinary      = errors.New("binary packets are not supported")
	errPacketType  = errors.New("an unknown packet type")
	errUTF8        = errors.New("a packet that is not UTF-8")
)

// decodePacket reads a packet as a text frame or a payload carries it.
func decodePacket(text string) (packet, error) {
	switch {
	case text == "":
		return packet{}, errEmptyPacket
	case text[0] == 'b':
		return packet{}, errBinary // base64, which stands for binary where there is only text
	case text[0] < typeOpen || text[0] > typeNoop:
		return packet{}, errPacketType
	case !utf8.ValidString(text):
		return packet{}, errUTF8
	}
	return packet{kind: text[0], data: text[1:]}, nil
}
