// Package fileconsumer is empty: see ../../README.md.
package fileconsumer
