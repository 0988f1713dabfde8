package access_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/opbeans/loadgen/access"
)

func TestNamesThatLeadToThisMachineAreItsOwn(t *testing.T) {
	asked := 0
	srv := gate(t, access.WithOwnNames(func(_ context.Context, host string) ([]string, error) {
		asked++
		switch host {
		case "opbeans-loadgen":
			return []string{"192.0.2.1", "127.0.0.1"}, nil
		case "elsewhere":
			return []string{"192.0.2.1"}, nil
		}
		return nil, errors.New("no such host")
	}))
	for range 3 {
		assert.Equal(t, 200, do(t, srv.Client(), "GET", srv.URL, "", "Host: opbeans-loadgen:8999").StatusCode)
		assert.Equal(t, 403, do(t, srv.Client(), "GET", srv.URL, "", "Host: elsewhere").StatusCode)
		assert.Equal(t, 403, do(t, srv.Client(), "GET", srv.URL, "", "Host: evil.example").StatusCode)
	}
	assert.Equal(t, 3, asked, "answers are remembered")
}
