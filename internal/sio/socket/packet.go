package socket

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/opbeans/loadgen/internal/sio/engine"
)

// The types of Socket.IO packets: the first character of each.
const (
	typeConnect      = '0'
	typeDisconnect   = '1'
	typeEvent        = '2'
	typeAck          = '3'
	typeConnectError = '4'
	typeBinaryEvent  = '5'
	typeBinaryAck    = '6'
)

// rootNamespace is the only namespace.
const rootNamespace = "/"

// packet is one packet: type, namespace (left out for "/"), the number of the
// acknowledgement that is wanted or given, and JSON:
//
//	2/admin,12["event",{"some":"data"}]
type packet struct {
	kind      byte
	namespace string
	id        uint64
	hasID     bool
	data      []json.RawMessage // of an event, its name first; or of an ack
}

var (
	errPacket    = errors.New("a malformed packet")
	errBinary    = errors.New("binary events are not supported")
	errNamespace = errors.New("an event for a namespace that is not connected")
	errEarly     = errors.New("an event before the connection")
)

// maxNamespace bounds what is said back to a client about a namespace.
const maxNamespace = 200

// parsePacket reads a packet from a client.
func parsePacket(text string) (packet, error) {
	if text == "" {
		return packet{}, errPacket
	}
	p := packet{kind: text[0], namespace: rootNamespace}
	rest := text[1:]
	switch p.kind {
	case typeConnect, typeDisconnect, typeEvent, typeAck:
	case typeBinaryEvent, typeBinaryAck:
		return packet{}, errBinary
	default:
		return packet{}, errPacket // among them errors, which only a server tells
	}
	if strings.HasPrefix(rest, "/") {
		p.namespace, rest, _ = strings.Cut(rest, ",")
		p.namespace, _, _ = strings.Cut(p.namespace, "?") // clients 2.x put a query there
		if len(p.namespace) > maxNamespace {
			return packet{}, errPacket
		}
	}
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	if digits > 0 {
		id, err := strconv.ParseUint(rest[:digits], 10, 53) // what JavaScript can count to
		if err != nil {
			return packet{}, errPacket
		}
		p.id, p.hasID, rest = id, true, rest[digits:]
	}
	return p, p.parseData(rest)
}

// parseData reads what a packet carries. What comes with a connection, which may
// be a token or nothing, is of no interest.
func (p *packet) parseData(text string) error {
	switch p.kind {
	case typeEvent:
		var name string
		if json.Unmarshal([]byte(text), &p.data) != nil || len(p.data) == 0 {
			return errPacket
		}
		if p.data[0][0] != '"' || json.Unmarshal(p.data[0], &name) != nil {
			return errPacket
		}
	case typeAck:
		if !p.hasID || json.Unmarshal([]byte(text), &p.data) != nil || p.data == nil {
			return errPacket
		}
	}
	return nil
}

// text writes a packet; it is the inverse of parsePacket.
func (p packet) text() string {
	var b strings.Builder
	b.WriteByte(p.kind)
	if p.namespace != rootNamespace {
		b.WriteString(p.namespace)
		b.WriteByte(',')
	}
	if p.hasID {
		b.WriteString(strconv.FormatUint(p.id, 10))
	}
	if p.kind == typeEvent || p.kind == typeAck {
		b.WriteByte('[')
		for i, raw := range p.data {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(raw)
		}
		b.WriteByte(']')
	}
	return b.String()
}

func (p packet) frame() engine.Frame { return engine.NewFrame(p.text()) }

// event makes the packet of an event.
func event(name string, args []any) (packet, error) {
	data, err := marshalAll(append([]any{name}, args...))
	return packet{kind: typeEvent, namespace: rootNamespace, data: data}, err
}

// Message is an event in the form in which it travels, ready for any socket.
type Message struct{ frame engine.Frame }

// NewMessage makes the message of an event. The error says that an argument cannot
// be written as JSON.
func NewMessage(name string, args ...any) (Message, error) {
	p, err := event(name, args)
	if err != nil {
		return Message{}, err
	}
	return Message{frame: p.frame()}, nil
}

// Equal tells whether two messages are the same, to the byte.
func (m Message) Equal(o Message) bool { return bytes.Equal(m.frame, o.frame) }

// ack makes the packet that acknowledges an event.
func ack(id uint64, args []any) (packet, error) {
	data, err := marshalAll(args)
	return packet{kind: typeAck, namespace: rootNamespace, id: id, hasID: true, data: data}, err
}

// marshalAll writes values in JSON, without the escapes that are for JSON inside
// of HTML.
func marshalAll(values []any) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, len(values))
	for i, v := range values {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return nil, fmt.Errorf("socketio: %w", err)
		}
		out[i] = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	}
	return out, nil
}

// connected is the server's answer to a connection: in protocol 4 with the name of
// the socket.
func connected(version int, id string) engine.Frame {
	if version == 3 {
		return engine.NewFrame("0")
	}
	return engine.NewFrame(`0{"sid":"` + id + `"}`)
}

// refused is the answer to a connection to a namespace that there is not.
func refused(version int, namespace string) engine.Frame {
	const reason = "Invalid namespace"
	if version == 3 {
		return engine.NewFrame("4" + namespace + `,"` + reason + `"`)
	}
	return engine.NewFrame("4" + namespace + `,{"message":"` + reason + `"}`)
}
