package client

import (
	"fmt"
	"net/http"
	"strings"
)

// MaxRedirects is how many redirects one request follows.
const MaxRedirects = 10

// redirects tells whether the response sends the client elsewhere.
func (x *exchange) redirects(r *Call) bool {
	return !r.NoRedirect && isRedirect(x.reply.Status) && len(x.reply.Header("Location")) > 0
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// redirect prepares the next hop in r and returns true, if the response asks for
// one.
func (x *exchange) redirect(r *Call) (bool, error) {
	if !x.redirects(r) {
		return false, nil
	}
	if x.hop == MaxRedirects {
		return false, x.unfollowable(fmt.Sprintf("more than %d redirects", MaxRedirects))
	}
	location := string(x.reply.Header("Location"))
	to, err := resolveLocation(x.url(), location)
	if err != nil {
		return false, x.unfollowable(fmt.Sprintf("bad redirect to %.100q: %v", location, err))
	}
	if err := x.aimAt(to); err != nil {
		return false, x.unfollowable(fmt.Sprintf("bad redirect to %.100q: %v", location, err))
	}
	status := x.reply.Status
	if (status == http.StatusSeeOther && x.method != http.MethodHead) ||
		(x.method == http.MethodPost && (status == http.StatusMovedPermanently || status == http.StatusFound)) {
		r.Method, r.Body = http.MethodGet, nil
		r.Header = withoutContent(r.Header)
	}
	return true, nil
}

func (x *exchange) unfollowable(why string) error {
	return &requestError{x.method, x.where(), why}
}

// withoutContent returns a header without what describes a body.
func withoutContent(fields []HeaderField) []HeaderField {
	var kept []HeaderField
	for _, f := range fields {
		if !strings.HasPrefix(f.Name, "Content-") && f.Name != "Expect" {
			kept = append(kept, f)
		}
	}
	return kept
}
