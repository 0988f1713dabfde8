package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// sessionLength is how long a login lasts.
const sessionLength = 12 * time.Hour

// key is what a token proves knowledge of. Nothing of it tells the token.
type key struct {
	digest [sha256.Size]byte // of the token: comparing digests takes the same time for every guess
	secret []byte            // signs sessions
	cookie string            // differs by token: a browser shares cookies between the ports of a host
}

func newKey(token string) *key {
	derive := func(use string) []byte {
		mac := hmac.New(sha256.New, []byte(token))
		mac.Write([]byte(use))
		return mac.Sum(nil)
	}
	return &key{
		digest: sha256.Sum256([]byte(token)),
		secret: derive("loadgen session"),
		cookie: "loadgen_" + hex.EncodeToString(derive("loadgen cookie")[:4]),
	}
}

func (k *key) isToken(given string) bool {
	digest := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(digest[:], k.digest[:]) == 1
}

// A session is its end in Unix seconds and a random number, signed. It needs no memory
// here, outlives a restart, and ends with a change of the token.
const (
	stampLen   = 8
	nonceLen   = 16
	sessionLen = stampLen + nonceLen + sha256.Size
)

func (k *key) session(now time.Time) string {
	b := make([]byte, stampLen+nonceLen, sessionLen)
	binary.BigEndian.PutUint64(b, uint64(now.Add(sessionLength).Unix()))
	_, _ = rand.Read(b[stampLen:]) // never fails
	return base64.RawURLEncoding.EncodeToString(append(b, k.sign(b)...))
}

func (k *key) sign(b []byte) []byte {
	mac := hmac.New(sha256.New, k.secret)
	mac.Write(b)
	return mac.Sum(nil)
}

func (k *key) isSession(value string, now time.Time) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(b) != sessionLen {
		return false
	}
	said, signature := b[:stampLen+nonceLen], b[stampLen+nonceLen:]
	return hmac.Equal(signature, k.sign(said)) && now.Unix() < int64(binary.BigEndian.Uint64(said))
}
