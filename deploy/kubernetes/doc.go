// Package kubernetes has nothing but the manifests beside it and their test.
package kubernetes
