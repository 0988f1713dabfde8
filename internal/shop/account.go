package shop

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

const (
	loginCookie = "shop_user"
	maxUserName = 100
	maxNote     = 4 << 10
)

// login takes any name with any password, as JSON or as a form, and gives a token and
// a cookie for them. It keeps nothing: a token says whose it is.
func (s *Shop) login(r *http.Request) answer {
	user, password, err := readLogin(r)
	switch {
	case err != nil:
		return failure(http.StatusBadRequest, "%v", err)
	case user == "" || password == "" || len(user) > maxUserName || strings.ContainsAny(user, ".;, \"\\"):
		return failure(http.StatusUnauthorized, "a login has a user, in letters and digits, and a password")
	}
	token := s.token(user)
	return answer{
		status: http.StatusOK,
		body:   jsonBody(map[string]string{"user": user, "token": token}),
		cookie: &http.Cookie{Name: loginCookie, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode},
	}
}

func readLogin(r *http.Request) (user, password string, err error) {
	r.Body = http.MaxBytesReader(nil, r.Body, maxOrderBody)
	if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t != "application/json" {
		if err := r.ParseForm(); err != nil {
			return "", "", errors.New("the login is neither JSON nor a form")
		}
		return r.PostForm.Get("user"), r.PostForm.Get("password"), nil
	}
	var login struct{ User, Password string }
	if err := json.NewDecoder(r.Body).Decode(&login); err != nil {
		return "", "", fmt.Errorf("the login is not JSON: %w", err)
	}
	return login.User, login.Password, nil
}

// token is the name and its seal.
func (s *Shop) token(user string) string {
	h := fnv.New64a()
	_, _ = io.WriteString(h, user)
	return user + "." + strconv.FormatUint(mix(s.opts.Seed^h.Sum64()), 36)
}

// user is whose request it is: by token, by cookie, or by name and any password.
func (s *Shop) user(r *http.Request) (string, bool) {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if c, err := r.Cookie(loginCookie); err == nil && !bearer {
		token = c.Value
	}
	if name, _, ok := strings.Cut(token, "."); ok {
		return name, s.token(name) == token
	}
	name, password, ok := r.BasicAuth()
	return name, ok && name != "" && password != ""
}

// private answers only who is logged in.
func (s *Shop) private(fn func(user string) answer) func(*http.Request) answer {
	return func(r *http.Request) answer {
		user, ok := s.user(r)
		if !ok {
			return failure(http.StatusUnauthorized, "log in first: POST /api/login")
		}
		return fn(user)
	}
}

func account(user string) answer {
	return answer{status: http.StatusOK, body: jsonBody(map[string]string{"user": user})}
}

func logout(string) answer {
	return answer{status: http.StatusNoContent, cookie: &http.Cookie{Name: loginCookie, Path: "/", MaxAge: -1}}
}

// note takes a text about a customer, and forgets it.
func (s *Shop) note(r *http.Request) answer {
	if _, ok := s.data.customers.find(r.PathValue("id")); !ok {
		return notFound("customer", r)
	}
	if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); !strings.HasPrefix(t, "text/") {
		return failure(http.StatusBadRequest, "a note is a text, not %.40q", r.Header.Get("Content-Type"))
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(r.Body, maxNote+1)); err != nil || n == 0 || n > maxNote {
		return failure(http.StatusBadRequest, "a note has from 1 to %d bytes", maxNote)
	}
	return answer{status: http.StatusNoContent}
}

// moved leads from a page to what it shows.
func moved(r *http.Request) answer {
	return answer{status: http.StatusFound, location: "/api/products/" + r.PathValue("id")}
}
