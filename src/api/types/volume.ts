// Wire types of the Docker Engine API v1.51: volumes. Field names are the API's; absent and undefined mean the same.

export interface Volume {
  Name: string;
  Driver: string;
  Mountpoint: string;
  CreatedAt: string;
  Status?: Record<string, unknown> | undefined;
  Labels: Record<string, string>;
  Scope: string;
  ClusterVolume: unknown;
  Options: Record<string, string>;
  UsageData?:
    | {
        Size?: number | undefined;
        RefCount?: number | undefined;
      }
    | null
    | undefined;
}

export interface VolumeCreateOptions {
  Name?: string | undefined;
  Driver?: string | undefined;
  DriverOpts?: Record<string, string> | undefined;
  Labels?: Record<string, string> | undefined;
  ClusterVolumeSpec?: unknown | undefined;
}

export interface VolumeListResponse {
  Volumes: Volume[];
  Warnings: string[];
}

export interface VolumePruneResult {
  VolumesDeleted: string[] | null;
  /** Bytes. */
  SpaceReclaimed: number;
}

/** Gantry's own: what `POST /volumes/{name}/copy` takes. */
export interface VolumeCopyRequest {
  Name?: string | undefined;
  Snapshot?: boolean | undefined;
  Labels?: Record<string, string> | undefined;
}
