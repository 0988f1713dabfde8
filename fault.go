package loadgen

import "fmt"

// fault is one thing that is wrong with a configuration.
type fault struct {
	Field   string // as its JSON form spells it
	Message string // what is wrong, and what would be right
	Missing bool   // a required field was left out
}

// faults are all that are wrong, in the order in which they were found.
type faults []fault

// add adds a value that cannot be.
func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, fault{Field: field, Message: fmt.Sprintf(format, args...)})
}

// missing adds a field that was left out.
func (f *faults) missing(field, format string, args ...any) {
	*f = append(*f, fault{Field: field, Message: fmt.Sprintf(format, args...), Missing: true})
}
