// Package fault lists what is wrong with a configuration.
package fault

import "fmt"

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	Field   string // as its JSON form spells it
	Message string // what is wrong, and what would be right
	Missing bool   // a required field was left out
}

// List are all that are wrong, in the order in which they were found.
type List []Fault

// Add adds a value that cannot be.
func (f *List) Add(field, format string, args ...any) {
	*f = append(*f, Fault{Field: field, Message: fmt.Sprintf(format, args...)})
}

// Missing adds a field that was left out.
func (f *List) Missing(field, format string, args ...any) {
	*f = append(*f, Fault{Field: field, Message: fmt.Sprintf(format, args...), Missing: true})
}
