/**
 * The fields of what is inspected, in the order in which Docker's clients print them. One line per struct:
 *
 *   Name:type      a field; `Name=json:type` when JSON calls it otherwise; a "?" at the end: left out of JSON when empty
 *   +Struct        its fields are this struct's too, and print in braces of their own
 *
 * Types: s text, b boolean, i number, t time, d duration, any; *T pointer, []T list, {T} map from text, else a struct's name.
 */
export const INSPECT_STRUCTS = {
  container:
    "+ContainerBase Mounts:[]MountPoint Config:*ContainerConfig NetworkSettings:*NetworkSettings ImageManifestDescriptor:*Descriptor?",
  ContainerBase:
    "ID=Id:s Created:s Path:s Args:[]s State:*State Image:s ResolvConfPath:s HostnamePath:s HostsPath:s LogPath:s Name:s RestartCount:i Driver:s Platform:s MountLabel:s ProcessLabel:s AppArmorProfile:s ExecIDs:[]s HostConfig:*HostConfig GraphDriver:DriverData SizeRw:*i? SizeRootFs:*i?",
  State:
    "Status:s Running:b Paused:b Restarting:b OOMKilled:b Dead:b Pid:i ExitCode:i Error:s StartedAt:s FinishedAt:s Health:*Health?",
  Health: "Status:s FailingStreak:i Log:[]*HealthResult",
  HealthResult: "Start:t End:t ExitCode:i Output:s",
  MountPoint: "Type:s? Name:s? Source:s Destination:s Driver:s? Mode:s RW:b Propagation:s",
  ContainerConfig:
    "Hostname:s Domainname:s User:s AttachStdin:b AttachStdout:b AttachStderr:b ExposedPorts:{Nothing}? Tty:b OpenStdin:b StdinOnce:b Env:[]s Cmd:[]s Healthcheck:*HealthConfig? ArgsEscaped:b? Image:s Volumes:{Nothing} WorkingDir:s Entrypoint:[]s NetworkDisabled:b? MacAddress:s? OnBuild:[]s Labels:{s} StopSignal:s? StopTimeout:*i? Shell:[]s?",
  HealthConfig: "Test:[]s? Interval:d? Timeout:d? StartPeriod:d? StartInterval:d? Retries:i? OnFailure:s?",
  HostConfig:
    "Binds:[]s ContainerIDFile:s LogConfig:LogConfig NetworkMode:s PortBindings:{[]PortBinding} RestartPolicy:RestartPolicy AutoRemove:b VolumeDriver:s VolumesFrom:[]s ConsoleSize:any Annotations:{s}? CapAdd:[]s CapDrop:[]s CgroupnsMode:s DNS=Dns:[]s DNSOptions=DnsOptions:[]s DNSSearch=DnsSearch:[]s ExtraHosts:[]s GroupAdd:[]s IpcMode:s Cgroup:s Links:[]s OomScoreAdj:i PidMode:s Privileged:b PublishAllPorts:b ReadonlyRootfs:b SecurityOpt:[]s StorageOpt:{s}? Tmpfs:{s}? UTSMode:s UsernsMode:s ShmSize:i Sysctls:{s}? Runtime:s? Isolation:s +Resources Mounts:[]any? MaskedPaths:[]s ReadonlyPaths:[]s Init:*b?",
  LogConfig: "Type:s Config:{s}",
  RestartPolicy: "Name:s MaximumRetryCount:i",
  PortBinding: "HostIP=HostIp:s HostPort:s",
  Resources:
    "CPUShares=CpuShares:i Memory:i NanoCPUs=NanoCpus:i CgroupParent:s BlkioWeight:i BlkioWeightDevice:[]WeightDevice BlkioDeviceReadBps:[]ThrottleDevice BlkioDeviceWriteBps:[]ThrottleDevice BlkioDeviceReadIOps:[]ThrottleDevice BlkioDeviceWriteIOps:[]ThrottleDevice CPUPeriod=CpuPeriod:i CPUQuota=CpuQuota:i CPURealtimePeriod=CpuRealtimePeriod:i CPURealtimeRuntime=CpuRealtimeRuntime:i CpusetCpus:s CpusetMems:s Devices:[]DeviceMapping DeviceCgroupRules:[]s DeviceRequests:[]DeviceRequest KernelMemory:i? KernelMemoryTCP:i? MemoryReservation:i MemorySwap:i MemorySwappiness:*i OomKillDisable:*b PidsLimit:*i Ulimits:[]Ulimit CPUCount=CpuCount:i CPUPercent=CpuPercent:i IOMaximumIOps:i IOMaximumBandwidth:i",
  WeightDevice: "Path:s Weight:i",
  ThrottleDevice: "Path:s Rate:i",
  DeviceMapping: "PathOnHost:s PathInContainer:s CgroupPermissions:s",
  DeviceRequest: "Driver:s Count:i DeviceIDs:[]s Capabilities:[][]s Options:{s}",
  Ulimit: "Name:s Hard:i Soft:i",
  NetworkSettings: "+NetworkSettingsBase +DefaultNetworkSettings Networks:{*Endpoint}",
  NetworkSettingsBase:
    "Bridge:s SandboxID:s SandboxKey:s Ports:{[]PortBinding} HairpinMode:b LinkLocalIPv6Address:s LinkLocalIPv6PrefixLen:i SecondaryIPAddresses:[]Address SecondaryIPv6Addresses:[]Address",
  DefaultNetworkSettings:
    "EndpointID:s Gateway:s GlobalIPv6Address:s GlobalIPv6PrefixLen:i IPAddress:s IPPrefixLen:i IPv6Gateway:s MacAddress:s",
  Address: "Addr:s PrefixLen:i",
  Endpoint:
    "IPAMConfig:*EndpointIpam Links:[]s Aliases:[]s MacAddress:s DriverOpts:{s} GwPriority:i NetworkID:s EndpointID:s Gateway:s IPAddress:s IPPrefixLen:i IPv6Gateway:s GlobalIPv6Address:s GlobalIPv6PrefixLen:i DNSNames:[]s",
  EndpointIpam: "IPv4Address:s? IPv6Address:s? LinkLocalIPs:[]s?",
  DriverData: "Data:{s} Name:s",
  Descriptor:
    "MediaType=mediaType:s Digest=digest:s Size=size:i URLs=urls:[]s? Annotations=annotations:{s}? Data=data:s? Platform=platform:*Platform? ArtifactType=artifactType:s?",
  Platform:
    "Architecture=architecture:s OS=os:s OSVersion=os.version:s? OSFeatures=os.features:[]s? Variant=variant:s?",
  Nothing: "",
  image:
    "ID=Id:s RepoTags:[]s RepoDigests:[]s Parent:s Comment:s Created:s? Container:s? ContainerConfig:*ContainerConfig? DockerVersion:s Author:s Config:*ImageConfig Architecture:s Variant:s? Os:s OsVersion:s? Size:i VirtualSize:i? GraphDriver:DriverData RootFS:RootFS Metadata:ImageMetadata Descriptor:*Descriptor? Manifests:[]any?",
  ImageConfig: "+OciImageConfig +DockerImageConfig",
  OciImageConfig:
    "User:s? ExposedPorts:{Nothing}? Env:[]s? Entrypoint:[]s? Cmd:[]s? Volumes:{Nothing}? WorkingDir:s? Labels:{s}? StopSignal:s? ArgsEscaped:b?",
  DockerImageConfig: "Healthcheck:*HealthConfig? OnBuild:[]s? Shell:[]s?",
  RootFS: "Type:s? Layers:[]s?",
  ImageMetadata: "LastTagTime:t",
  network:
    "Name:s ID=Id:s Created:t Scope:s Driver:s EnableIPv4:b EnableIPv6:b IPAM:Ipam Internal:b Attachable:b Ingress:b ConfigFrom:ConfigReference ConfigOnly:b Containers:{NetworkContainer} Options:{s} Labels:{s} Peers:[]Peer? Services:{any}?",
  Ipam: "Driver:s Options:{s} Config:[]IpamConfig",
  IpamConfig: "Subnet:s? IPRange:s? Gateway:s? AuxAddress=AuxiliaryAddresses:{s}?",
  ConfigReference: "Network:s",
  NetworkContainer: "Name:s EndpointID:s MacAddress:s IPv4Address:s IPv6Address:s",
  Peer: "Name:s IP:s",
  volume:
    "ClusterVolume:*any? CreatedAt:s? Driver:s Labels:{s} Mountpoint:s Name:s Options:{s} Scope:s Status:{any}? UsageData:*VolumeUsage?",
  VolumeUsage: "RefCount:i Size:i",
} as const satisfies Readonly<Record<string, string>>;
