package apm

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Version 3 of the intake, for browsers, has short names, and spans within their
// transaction.

type rumService struct {
	Service *struct {
		Name string `json:"n"`
	} `json:"se"`
}

func (m *metadata) ofShort(c *rumService) string {
	if c.Service != nil && c.Service.Name != "" {
		return c.Service.Name
	}
	return m.service
}

type rumTransaction struct {
	ID       string    `json:"id"`
	TraceID  string    `json:"tid"`
	ParentID string    `json:"pid"`
	Name     string    `json:"n"`
	Type     string    `json:"t"`
	Result   string    `json:"rt"`
	Outcome  string    `json:"o"`
	Duration *float64  `json:"d"`
	Sampled  *bool     `json:"sm"`
	Spans    []rumSpan `json:"y"`
	Context  struct {
		rumService
		Response struct {
			Status int `json:"sc"`
		} `json:"r"`
	} `json:"c"`
}

type rumSpan struct {
	ID       string   `json:"id"`
	Name     string   `json:"n"`
	Outcome  string   `json:"o"`
	Duration *float64 `json:"d"`
	Parent   *int     `json:"pi"` // among the spans; none: the transaction
	Sync     *bool    `json:"sy"`
	Context  struct {
		rumService
	} `json:"c"`
}

type rumError struct {
	ID            string `json:"id"`
	TraceID       string `json:"tid"`
	TransactionID string `json:"xid"`
	ParentID      string `json:"pid"`
	Context       struct {
		rumService
	} `json:"c"`
}

// decodeRUM makes documents of an event of the intake of browsers, version 3.
func decodeRUM(m *metadata, line []byte, docs []Document) ([]Document, error) {
	var e struct {
		Transaction *rumTransaction `json:"x"`
		Error       *rumError       `json:"e"`
		Metricset   *struct{}       `json:"me"`
		Metadata    *struct{}       `json:"m"`
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return docs, fmt.Errorf("failed to decode: %w", err)
	}
	switch {
	case e.Transaction != nil:
		return e.Transaction.documents(m, docs)
	case e.Error != nil:
		long := elasticError{ID: e.Error.ID, TraceID: e.Error.TraceID, TransactionID: e.Error.TransactionID, ParentID: e.Error.ParentID}
		return long.document(&metadata{m.ofShort(&e.Error.Context.rumService), m.agent}, docs)
	case e.Metricset != nil, e.Metadata != nil:
		return docs, nil
	}
	return docs, errors.New("did not recognize object type")
}

func (t *rumTransaction) documents(m *metadata, docs []Document) ([]Document, error) {
	if err := required("x", [2]string{"id", t.ID}, [2]string{"tid", t.TraceID}, [2]string{"t", t.Type}); err != nil {
		return docs, err
	}
	took, err := millis("x", t.Duration)
	if err != nil {
		return docs, err
	}
	trace := traceID(t.TraceID)
	docs = append(docs, Document{
		Kind: Transaction, Trace: trace, ID: spanID(t.ID), Parent: spanID(t.ParentID), Service: m.ofShort(&t.Context.rumService), Agent: m.agent,
		Name: t.Name, Outcome: outcome(t.Outcome), Status: t.Context.Response.Status, Class: resultClass(t.Result),
		Sampled: t.Sampled == nil || *t.Sampled, Duration: took,
	})
	for i := range t.Spans {
		s := &t.Spans[i]
		if err := required("y", [2]string{"id", s.ID}); err != nil {
			return docs, err
		}
		took, err := millis("y", s.Duration)
		if err != nil {
			return docs, err
		}
		parent := t.ID
		if s.Parent != nil && *s.Parent >= 0 && *s.Parent < len(t.Spans) {
			parent = t.Spans[*s.Parent].ID
		}
		docs = append(docs, Document{
			Kind: Span, Trace: trace, ID: spanID(s.ID), Parent: spanID(parent), Service: m.ofShort(&s.Context.rumService), Agent: m.agent,
			Name: s.Name, Outcome: outcome(s.Outcome), Sampled: true, Duration: took, Async: s.Sync != nil && !*s.Sync,
		})
	}
	return docs, nil
}
