package engine

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// servePoll answers a GET: it waits until there is something for the client.
func (s *Session) servePoll(w http.ResponseWriter, r *http.Request) {
	if !s.enter(&s.polling) {
		s.close(reasonTransportError, false) // two readers would take from each other
		refuse(w, badRequest("two polls at once"))
		return
	}
	for {
		frames, changed := s.takeForPoll()
		if len(frames) > 0 {
			// The client's next poll may be here before the answer is known to be out.
			s.leave(&s.polling)
			s.respond(w, codecOf(s.version).encode(frames))
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			s.close(reasonTransportClose, false)
			return
		}
	}
}

// takeForPoll returns the next packets for a poll, or what to wait for.
func (s *Session) takeForPoll() (frames []Frame, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	noop := []Frame{frame(typeNoop, "")}
	switch {
	case s.socket:
		return noop, nil // the queue is the WebSocket's now
	case s.closed:
		return append(s.drain(), frame(typeClose, "")), nil
	case len(s.queue) > 0:
		return s.drain(), nil
	case s.probed:
		return noop, nil // the client waits for this before it upgrades
	}
	return nil, s.wait()
}

// respond writes an answer whole, within the time that a client has for its pong.
// What a client that is gone did not get is lost, and so the session ends: it comes
// back to a new one, and hears the state anew.
func (s *Session) respond(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Now().Add(s.srv.cfg.PingTimeout)) // not every ResponseWriter can
	_, err := w.Write(body)
	if err == nil {
		err = rc.Flush()
	}
	_ = rc.SetWriteDeadline(time.Time{})
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.close(reasonTransportClose, false)
	}
}

// servePost takes the packets of a POST.
func (s *Session) servePost(w http.ResponseWriter, r *http.Request) {
	if !s.enter(&s.posting) {
		s.close(reasonTransportError, false) // their order would be lost
		refuse(w, badRequest("two posts at once"))
		return
	}
	defer s.leave(&s.posting)
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == "application/octet-stream" {
		s.close(reasonParseError, false)
		refuse(w, badRequest(errBinary.Error()))
		return
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(s.srv.cfg.PingTimeout)) // not every ResponseWriter can
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.srv.cfg.MaxPayload))
	_ = rc.SetReadDeadline(time.Time{})
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		s.close(reasonTransportError, false)
		refuse(w, refusal{http.StatusRequestEntityTooLarge, codeBadRequest, "the payload is too large"})
		return
	case err != nil:
		s.close(reasonTransportClose, false)
		refuse(w, badRequest("the payload could not be read"))
		return
	}
	if err := s.receiveAll(string(body)); err != nil {
		s.close(reasonParseError, false)
		refuse(w, badRequest(err.Error()))
		return
	}
	w.Header().Set("Content-Type", "text/html") // what clients have always got
	_, _ = io.WriteString(w, "ok")              // the client may be gone
}

// receiveAll handles a payload. One that ends the session is fine.
func (s *Session) receiveAll(payload string) error {
	packets, err := codecOf(s.version).decode(payload)
	if err != nil {
		return err
	}
	for _, text := range packets {
		if err := s.receive(text); errors.Is(err, ErrClosed) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// enter takes one of the two places for requests of a session, if it is free.
func (s *Session) enter(place *bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *place {
		return false
	}
	*place = true
	return true
}

func (s *Session) leave(place *bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*place = false
}
