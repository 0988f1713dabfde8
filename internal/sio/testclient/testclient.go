// Package testclient is a client of Engine.IO and Socket.IO for tests: as low as
// needed to send what no good client sends. It shares no code with the server.
package testclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/coder/websocket"
)

// Client is one client. Its requests are not for concurrent use, except as the
// protocol has it: one poll beside one post.
type Client struct {
	HTTP    *http.Client
	URL     string // of the server, such as http://server
	Version int    // 3 or 4
	Header  http.Header
	SID     string // of the session, once there is one

	socket *websocket.Conn
	queue  []string // packets that have been polled and not read
}

// New returns a client that reaches its server through dial. Close frees it.
func New(version int, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *Client {
	return &Client{
		HTTP: &http.Client{Transport: &http.Transport{DialContext: dial}},
		URL:  "http://server", Version: version, Header: http.Header{},
	}
}

// Close drops the client's connections.
func (c *Client) Close() {
	if c.socket != nil {
		_ = c.socket.CloseNow()
	}
	c.HTTP.CloseIdleConnections()
}

// Address is the URL of a request; query pairs come on top.
func (c *Client) Address(transport string, query ...string) string {
	q := url.Values{"EIO": {strconv.Itoa(c.Version)}, "transport": {transport}}
	if c.SID != "" {
		q.Set("sid", c.SID)
	}
	for i := 0; i+1 < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	return c.URL + "/socket.io/?" + q.Encode()
}

// Answer is what came before the body of an answer.
type Answer struct {
	StatusCode int
	Header     http.Header
}

// Do sends a request and returns its answer, and the body of that.
func (c *Client) Do(ctx context.Context, method, address, body string) (Answer, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return Answer{}, "", err
	}
	req.Header = c.Header.Clone()
	if method == http.MethodPost && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return Answer{}, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return Answer{res.StatusCode, res.Header}, string(text), err
}

// Poll returns the packets of one poll; the first of a session is the handshake,
// which it takes note of.
func (c *Client) Poll(ctx context.Context) ([]string, error) {
	res, body, err := c.Do(ctx, http.MethodGet, c.Address("polling"), "")
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("poll: status %d: %s", res.StatusCode, body)
	}
	packets, err := c.Decode(body)
	if err == nil && c.SID == "" {
		err = c.opened(packets[0])
	}
	return packets, err
}

// opened reads a handshake.
func (c *Client) opened(packet string) error {
	var hello struct{ SID string }
	if !strings.HasPrefix(packet, "0{") {
		return fmt.Errorf("a handshake was expected, not %q", packet)
	}
	err := json.Unmarshal([]byte(packet[1:]), &hello)
	c.SID = hello.SID
	return err
}

// Post sends packets.
func (c *Client) Post(ctx context.Context, packets ...string) error {
	res, body, err := c.Do(ctx, http.MethodPost, c.Address("polling"), c.Encode(packets...))
	if err == nil && (res.StatusCode != http.StatusOK || body != "ok") {
		err = fmt.Errorf("post: status %d: %s", res.StatusCode, body)
	}
	return err
}

// Dial opens a WebSocket, for a new session or to upgrade the one that there is.
func (c *Client) Dial(ctx context.Context) (*websocket.Conn, error) {
	conn, res, err := websocket.Dial(ctx, c.Address("websocket"), &websocket.DialOptions{HTTPClient: c.HTTP, HTTPHeader: c.Header}) //nolint:bodyclose // Dial closes it
	if err != nil {
		if res != nil {
			err = fmt.Errorf("status %d: %w", res.StatusCode, err)
		}
		return nil, err
	}
	conn.SetReadLimit(1 << 24)
	return conn, nil
}

// Connect begins a session on a transport, and connects to the namespace.
func (c *Client) Connect(ctx context.Context, transport string) error {
	if transport == "websocket" {
		var err error
		if c.socket, err = c.Dial(ctx); err != nil {
			return err
		}
		first, err := c.Next(ctx)
		if err != nil {
			return err
		}
		if err := c.opened(first); err != nil {
			return err
		}
	} else {
		packets, err := c.Poll(ctx)
		if err != nil {
			return err
		}
		c.queue = packets[1:]
	}
	if c.Version == 4 {
		if err := c.Send(ctx, "40"); err != nil {
			return err
		}
	}
	answer, err := c.Next(ctx)
	if err == nil && !strings.HasPrefix(answer, "40") {
		err = fmt.Errorf("a connection was expected, not %q", answer)
	}
	return err
}

// Send sends a packet on the transport of the moment.
func (c *Client) Send(ctx context.Context, packet string) error {
	if c.socket != nil {
		return c.socket.Write(ctx, websocket.MessageText, []byte(packet))
	}
	return c.Post(ctx, packet)
}

// Next returns the next packet on the transport of the moment.
func (c *Client) Next(ctx context.Context) (string, error) {
	if len(c.queue) == 0 && c.socket != nil {
		_, text, err := c.socket.Read(ctx)
		return string(text), err
	}
	for len(c.queue) == 0 {
		packets, err := c.Poll(ctx)
		if err != nil {
			return "", err
		}
		c.queue = packets
	}
	next := c.queue[0]
	c.queue = c.queue[1:]
	return next, nil
}

// Message returns the next Socket.IO packet without its leading 4, and answers
// pings on the way.
func (c *Client) Message(ctx context.Context) (string, error) {
	for {
		packet, err := c.Next(ctx)
		switch {
		case err != nil:
			return "", err
		case packet == "2":
			if err := c.Send(ctx, "3"); err != nil {
				return "", err
			}
		case packet == "1":
			return "", io.EOF
		case strings.HasPrefix(packet, "4"):
			return packet[1:], nil
		}
	}
}

// Event waits for an event of a name and returns its first argument.
func (c *Client) Event(ctx context.Context, name string) (json.RawMessage, error) {
	for {
		message, err := c.Message(ctx)
		if err != nil {
			return nil, err
		}
		var data []json.RawMessage
		if strings.HasPrefix(message, `2["`+name+`"`) {
			if err := json.Unmarshal([]byte(message[1:]), &data); err != nil {
				return nil, err
			}
			return data[1], nil
		}
	}
}

// Call sends an event and returns its acknowledgement, passing over all else.
func (c *Client) Call(ctx context.Context, id int, name string, args ...string) (string, error) {
	data := strings.Join(append([]string{strconv.Quote(name)}, args...), ",")
	if err := c.Send(ctx, fmt.Sprintf("42%d[%s]", id, data)); err != nil {
		return "", err
	}
	for {
		message, err := c.Message(ctx)
		if err != nil {
			return "", err
		}
		if answer, ok := strings.CutPrefix(message, fmt.Sprintf("3%d[", id)); ok {
			return strings.TrimSuffix(answer, "]"), nil
		}
	}
}

// Upgrade moves the session from polling to a WebSocket, the way a good client
// does: the poll that is pending meanwhile may still bring packets.
func (c *Client) Upgrade(ctx context.Context) error {
	type polled struct {
		packets []string
		err     error
	}
	pending := make(chan polled, 1)
	go func() {
		packets, err := c.Poll(ctx)
		pending <- polled{packets, err}
	}()
	conn, err := c.Dial(ctx)
	if err == nil {
		err = probe(ctx, conn)
	}
	last := <-pending
	if err = errors.Join(err, last.err); err != nil {
		if conn != nil {
			_ = conn.CloseNow()
		}
		return err
	}
	for _, packet := range last.packets {
		if packet != "6" {
			c.queue = append(c.queue, packet)
		}
	}
	c.socket = conn
	return conn.Write(ctx, websocket.MessageText, []byte("5"))
}

func probe(ctx context.Context, conn *websocket.Conn) error {
	if err := conn.Write(ctx, websocket.MessageText, []byte("2probe")); err != nil {
		return err
	}
	_, text, err := conn.Read(ctx)
	if err == nil && string(text) != "3probe" {
		err = fmt.Errorf("3probe was expected, not %q", text)
	}
	return err
}

// Encode is the payload of packets.
func (c *Client) Encode(packets ...string) string {
	if c.Version == 4 {
		return strings.Join(packets, "\x1e")
	}
	var b strings.Builder
	for _, p := range packets {
		fmt.Fprintf(&b, "%d:%s", len(utf16.Encode([]rune(p))), p)
	}
	return b.String()
}

// Decode is the inverse of Encode.
func (c *Client) Decode(payload string) ([]string, error) {
	if c.Version == 4 {
		return strings.Split(payload, "\x1e"), nil
	}
	var packets []string
	for units := utf16.Encode([]rune(payload)); len(units) > 0; {
		text := string(utf16.Decode(units))
		digits, _, ok := strings.Cut(text, ":")
		n, err := strconv.Atoi(digits)
		start := len(digits) + 1
		if !ok || err != nil || start+n > len(units) {
			return nil, errors.New("a bad payload: " + text)
		}
		packets = append(packets, string(utf16.Decode(units[start:start+n])))
		units = units[start+n:]
	}
	return packets, nil
}
