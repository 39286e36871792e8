package main

import (
	"context"
	"os"
	"sync"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// smallest is the size in bytes below which ext4 has no room for anything else than itself.
const smallest = 16 << 20

// controller makes, removes, attaches and detaches disks, one call at a time.
type controller struct {
	csi.UnimplementedControllerServer
	sync.Mutex
	disks disks
}

func (*controller) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	response := &csi.ControllerGetCapabilitiesResponse{}
	for _, can := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_PUBLISH_UNPUBLISH_VOLUME,
		csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		response.Capabilities = append(response.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: can}},
		})
	}
	return response, nil
}

func (c *controller) CreateVolume(_ context.Context, request *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	c.Lock()
	defer c.Unlock()
	if err := forOneNode(request.VolumeCapabilities); err != nil {
		return nil, err
	}
	size := max(request.GetCapacityRange().GetRequiredBytes(), smallest)
	if !c.disks.exists(request.Name) {
		if err := c.disks.create(request.Name, size); err != nil {
			return nil, err
		}
	}
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{VolumeId: request.Name, CapacityBytes: size}}, nil
}

func (c *controller) DeleteVolume(_ context.Context, request *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	c.Lock()
	defer c.Unlock()
	holder, err := c.disks.attachedTo(request.VolumeId)
	if err != nil {
		return nil, err
	}
	if holder != "" {
		return nil, status.Errorf(codes.FailedPrecondition, "volume %s is attached to %s", request.VolumeId, holder)
	}
	return &csi.DeleteVolumeResponse{}, c.disks.remove(request.VolumeId)
}

func (c *controller) ControllerPublishVolume(_ context.Context, request *csi.ControllerPublishVolumeRequest) (*csi.ControllerPublishVolumeResponse, error) {
	c.Lock()
	defer c.Unlock()
	if !c.disks.exists(request.VolumeId) {
		return nil, status.Errorf(codes.NotFound, "there is no volume %s", request.VolumeId)
	}
	holder, err := c.disks.attachedTo(request.VolumeId)
	if err != nil {
		return nil, err
	}
	if holder != "" && holder != request.NodeId {
		return nil, status.Errorf(codes.FailedPrecondition, "volume %s is attached to %s: it cannot be attached to %s", request.VolumeId, holder, request.NodeId)
	}
	device, err := c.disks.attach(request.VolumeId, request.NodeId)
	if err != nil {
		return nil, err
	}
	return &csi.ControllerPublishVolumeResponse{PublishContext: map[string]string{"device": device}}, nil
}

func (c *controller) ControllerUnpublishVolume(_ context.Context, request *csi.ControllerUnpublishVolumeRequest) (*csi.ControllerUnpublishVolumeResponse, error) {
	c.Lock()
	defer c.Unlock()
	holder, err := c.disks.attachedTo(request.VolumeId)
	if err != nil {
		return nil, err
	}
	if holder == "" || (request.NodeId != "" && holder != request.NodeId) {
		return &csi.ControllerUnpublishVolumeResponse{}, nil
	}
	if err := c.disks.detach(request.VolumeId); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return &csi.ControllerUnpublishVolumeResponse{}, nil
}

func (*controller) ValidateVolumeCapabilities(_ context.Context, request *csi.ValidateVolumeCapabilitiesRequest) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if err := forOneNode(request.VolumeCapabilities); err != nil {
		return &csi.ValidateVolumeCapabilitiesResponse{Message: err.Error()}, nil
	}
	return &csi.ValidateVolumeCapabilitiesResponse{
		Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{VolumeCapabilities: request.VolumeCapabilities},
	}, nil
}

// forOneNode refuses access modes of several nodes, as a cloud's disk does.
func forOneNode(capabilities []*csi.VolumeCapability) error {
	for _, capability := range capabilities {
		switch mode := capability.GetAccessMode().GetMode(); mode {
		case csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER,
			csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY,
			csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER,
			csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER:
		default:
			return status.Errorf(codes.InvalidArgument, "%s: only single-node access modes, not %s", driver, mode)
		}
	}
	return nil
}
