// Package fault lists what is wrong with a configuration.
package fault

import (
	"errors"
	"fmt"
)

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	Field   string // as its JSON form spells it
	Message string // what is wrong, and what would be right
	Missing bool   // a required field was left out
	Err     error  // what the message wraps, if anything
}

// List are all that are wrong, in the order in which they were found.
type List []Fault

// Add adds a value that cannot be. The format may wrap an error with %w.
func (f *List) Add(field, format string, args ...any) {
	err := fmt.Errorf(format, args...)
	*f = append(*f, Fault{Field: field, Message: err.Error(), Err: errors.Unwrap(err)})
}

// Missing adds a field that was left out.
func (f *List) Missing(field, format string, args ...any) {
	*f = append(*f, Fault{Field: field, Message: fmt.Sprintf(format, args...), Missing: true})
}
