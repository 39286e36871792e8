package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// disks are image files in a folder. Beside the image of an attached one lies a note with the node's name.
type disks struct{ folder string }

func (d disks) image(id string) string { return filepath.Join(d.folder, filepath.Base(id)+".img") }
func (d disks) note(id string) string  { return filepath.Join(d.folder, filepath.Base(id)+".node") }

func (d disks) exists(id string) bool {
	_, err := os.Stat(d.image(id))
	return err == nil
}

// attachedTo is the name of the node that has the disk, or empty.
func (d disks) attachedTo(id string) (string, error) {
	node, err := os.ReadFile(d.note(id))
	if os.IsNotExist(err) {
		return "", nil
	}
	return string(node), err
}

// create makes the disk under another name first: a call that is repeated finds all of it or nothing.
func (d disks) create(id string, size int64) error {
	aside := d.image(id) + ".part"
	if _, err := run("truncate", "--size", fmt.Sprint(size), aside); err != nil {
		return err
	}
	if _, err := run("mkfs.ext4", "-q", "-F", aside); err != nil {
		return err
	}
	return os.Rename(aside, d.image(id))
}

func (d disks) remove(id string) error {
	if err := os.Remove(d.image(id)); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// attach gives the disk to a node and returns its device: the same one again while it is attached.
func (d disks) attach(id, node string) (string, error) {
	device, err := d.device(id)
	if err != nil {
		return "", err
	}
	if device == "" {
		if device, err = run("losetup", "--find", "--show", d.image(id)); err != nil {
			return "", err
		}
	}
	return device, os.WriteFile(d.note(id), []byte(node), 0o600)
}

func (d disks) detach(id string) error {
	device, err := d.device(id)
	if err != nil {
		return err
	}
	if device != "" {
		if _, err := run("losetup", "--detach", device); err != nil {
			return err
		}
	}
	return os.Remove(d.note(id))
}

func (d disks) device(id string) (string, error) {
	devices, err := run("losetup", "--noheadings", "--output=NAME", "--associated", d.image(id))
	first, _, _ := strings.Cut(devices, "\n")
	return strings.TrimSpace(first), err
}

// run ends in a gRPC error that quotes what the program said.
func run(name string, arguments ...string) (string, error) {
	output, err := exec.Command(name, arguments...).CombinedOutput()
	said := strings.TrimSpace(string(output))
	if err != nil {
		return "", status.Errorf(codes.Internal, "%s %s: %v: %s", name, strings.Join(arguments, " "), err, said)
	}
	return said, nil
}
