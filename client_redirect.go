package loadgen

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

const maxRedirects = 10

// redirects tells whether the response sends the client elsewhere.
func (x *exchange) redirects(r *call) bool {
	return !r.noRedirect && isRedirect(x.reply.status) && len(x.reply.header("Location")) > 0
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
func (x *exchange) redirect(r *call) (bool, error) {
	if !x.redirects(r) {
		return false, nil
	}
	if x.hop == maxRedirects {
		return false, x.unfollowable(fmt.Sprintf("more than %d redirects", maxRedirects))
	}
	location := string(x.reply.header("Location"))
	from, err := url.Parse(x.url())
	if err != nil {
		return false, x.unfollowable(err.Error())
	}
	to, err := from.Parse(location)
	if err != nil {
		return false, x.unfollowable(fmt.Sprintf("bad redirect to %.100q", location))
	}
	if err := x.aimAt(to); err != nil {
		return false, x.unfollowable(fmt.Sprintf("bad redirect to %.100q: %v", location, err))
	}
	status := x.reply.status
	if (status == http.StatusSeeOther && x.method != http.MethodHead) ||
		(x.method == http.MethodPost && (status == http.StatusMovedPermanently || status == http.StatusFound)) {
		r.method, r.body = http.MethodGet, nil
		r.header = withoutContent(r.header)
	}
	return true, nil
}

func (x *exchange) unfollowable(why string) error {
	return &requestError{x.method, x.where(), why}
}

// withoutContent returns a header without what describes a body.
func withoutContent(fields []headerField) []headerField {
	var kept []headerField
	for _, f := range fields {
		if !strings.HasPrefix(f.name, "Content-") && f.name != "Expect" {
			kept = append(kept, f)
		}
	}
	return kept
}
