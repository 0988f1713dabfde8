package serve

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/opbeans/loadgen/internal/command"
)

// certificate is that of -tls-cert and -tls-key. It follows the files, so that one
// that is renewed needs no restart.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu     sync.Mutex
	seen   [2]stamp // of the files that were read last, good or not
	loaded *tls.Certificate
}

// stamp tells one version of a file from another.
type stamp struct {
	modified time.Time
	size     int64
}

// serverTLS is the configuration of a server with the certificate of two files.
func serverTLS(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.load(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"},
	}, nil
}

// secure makes a listener one of TLS, if there is a certificate. On an error it is closed.
func (a *App) secure(ln net.Listener) (net.Listener, error) {
	if a.tlsCert == "" {
		return ln, nil
	}
	config, err := serverTLS(a.tlsCert, a.tlsKey, a.log)
	if err != nil {
		_ = ln.Close()
		return nil, command.UsageErrorf("-tls-cert, -tls-key: %w", err)
	}
	return tls.NewListener(ln, config), nil
}

// get returns the certificate for a new connection. Files that do not fit together, as
// in the middle of a renewal, leave the one before in use.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now, err := c.stamps(); err == nil && now != c.seen {
		if err := c.load(); err != nil {
			c.log.Error("the new TLS certificate cannot be used; the one before stays", "error", err)
		} else {
			c.log.Info("a new TLS certificate is in use", "file", c.certFile)
		}
	}
	return c.loaded, nil
}

func (c *certificate) load() error {
	now, err := c.stamps()
	if err != nil {
		return err
	}
	c.seen = now
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", c.certFile, c.keyFile, err)
	}
	c.loaded = &pair
	return nil
}

func (c *certificate) stamps() (s [2]stamp, err error) {
	for i, file := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			return s, err
		}
		s[i] = stamp{info.ModTime(), info.Size()}
	}
	return s, nil
}
