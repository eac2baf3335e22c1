package conf

import (
	"fmt"
	"strconv"

	"github.com/logscope/logscope/conf/masks"
)

// Options that name files of masks.
const (
	optionMaskFile     = "mask_file"
	optionDrain3       = "drain3_ini"
	optionMaxTemplates = "max_templates"
)

// masking reads the files of masks. Masks of mask_file come first; max_clusters of
// a drain3.ini stands for max_templates where that is not given.
func (l *loader) masking() {
	engine := &l.s.Pipeline.Engine
	if file, ok := l.s.given[optionMaskFile]; ok {
		found, err := masks.ReadFile(file.raw.text)
		if err != nil {
			l.maskFault(optionMaskFile, file, err)
		}
		engine.Masks = append(engine.Masks, found...)
	}
	file, ok := l.s.given[optionDrain3]
	if !ok {
		return
	}
	found, err := masks.ReadDrain3(file.raw.text)
	if err != nil {
		l.maskFault(optionDrain3, file, err)
		return
	}
	engine.Masks = append(engine.Masks, found.Masks...)
	engine.Delimiters = found.Delimiters
	l.s.Warnings = append(l.s.Warnings, found.Warnings...)
	if _, ok := l.s.given[optionMaxTemplates]; ok || found.TemplatesMax == 0 {
		return
	}
	l.s.given[optionMaxTemplates] = given{
		raw: raw{text: strconv.Itoa(found.TemplatesMax)}, origin: fmt.Sprintf("[DRAIN] max_clusters in %s", file.raw.text)}
}

// maskFault notes each of the faults in a file of masks.
func (l *loader) maskFault(option string, file given, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, fault := range joined.Unwrap() {
			l.maskFault(option, file, fault)
		}
		return
	}
	l.errs = append(l.errs, &Error{Option: option, Given: file.raw.text, Origin: file.origin, Err: err})
}
