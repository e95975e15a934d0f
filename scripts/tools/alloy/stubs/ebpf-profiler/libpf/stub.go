// Package libpf is a stub: see ../../README.md.
package libpf

// FileID is never made.
type FileID struct{}

// Hash32 is never called.
func (FileID) Hash32() uint32 { return 0 }

// StringNoQuotes is never called.
func (FileID) StringNoQuotes() string { return "" }

// String is never interned.
type String string

// String returns the text.
func (s String) String() string { return string(s) }

// FrameMappingFileData is never made.
type FrameMappingFileData struct {
	FileID     FileID
	FileName   String
	GnuBuildID string
}
