// Package k8sattributesprocessor is empty: see ../README.md.
package k8sattributesprocessor
