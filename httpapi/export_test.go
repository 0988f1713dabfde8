package httpapi

import "strings"

// Routes lists the routes as "METHOD /path/{param}", for the test that holds them
// against the description.
func Routes() []string {
	var all []string
	for _, rt := range routes() {
		all = append(all, rt.method+" "+strings.NewReplacer(":name", "{name}", ":id", "{id}").Replace(rt.path))
	}
	return all
}

// Keys lists the keys of the bodies of start and update.
func Keys() []string {
	keys := []string{"job", "name", "running"}
	for _, f := range new(API).fields() {
		keys = append(keys, f.name)
	}
	return keys
}
