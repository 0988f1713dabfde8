// Package blunt has a server for benchmarks that costs next to nothing: one fixed answer for
// each read.
package blunt

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// Listen starts the server and returns its address. It ends with the test.
func Listen(tb testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = l.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nServer: blunt\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n" +
		"Content-Type: text/html\r\nContent-Length: 15\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n" +
		"Connection: keep-alive\r\nETag: \"5e1d3c0a-f\"\r\nAccept-Ranges: bytes\r\n\r\nHello, world!\r\n")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				b := make([]byte, 4096)
				for {
					if _, err := c.Read(b); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
