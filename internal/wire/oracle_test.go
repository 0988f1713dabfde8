package wire

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
)

// readWithNetHTTP is what net/http makes of a response, if it takes it.
func readWithNetHTTP(wire []byte, method string) (status int, body string, ok bool) {
	br := bufio.NewReader(bytes.NewReader(wire))
	for range maxInterim {
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			return 0, "", false
		}
		if resp.StatusCode >= 100 && resp.StatusCode < 200 {
			continue
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		return resp.StatusCode, string(b), err == nil
	}
	return 0, "", false
}
