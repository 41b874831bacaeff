// Wire types of the Docker Engine API v1.51: images. Field names are the API's; absent and undefined mean the same.
import type { DriverData, HealthConfig } from "./container.ts";

export interface ImageHistoryItem {
  Id: string;
  Created: number;
  CreatedBy: string;
  Tags: string[];
  Size: number;
  Comment: string;
}

export interface ImageConfig {
  User?: string | undefined;
  ExposedPorts?: Record<string, Record<string, unknown>> | null | undefined;
  Env?: string[] | null | undefined;
  Cmd?: string[] | null | undefined;
  Healthcheck?: HealthConfig | undefined;
  ArgsEscaped?: boolean | null | undefined;
  Volumes?: Record<string, Record<string, unknown>> | null | undefined;
  WorkingDir?: string | undefined;
  Entrypoint?: string[] | null | undefined;
  OnBuild?: string[] | null | undefined;
  Labels?: Record<string, string> | null | undefined;
  StopSignal?: string | null | undefined;
  Shell?: string[] | null | undefined;
}

export interface ImageInspect {
  Id: string;
  Descriptor?: OCIDescriptor | null | undefined;
  Manifests?: ImageManifestSummary[] | null | undefined;
  RepoTags: string[];
  RepoDigests: string[];
  Parent: string;
  Comment: string;
  Created?: string | null | undefined;
  DockerVersion: string;
  Author: string;
  Config: ImageConfig;
  Architecture: string;
  Variant?: string | null | undefined;
  Os: string;
  OsVersion?: string | null | undefined;
  Size: number;
  GraphDriver: DriverData;
  RootFS: {
    Type?: string | undefined;
    Layers?: string[] | undefined;
  };
  Metadata: {
    LastTagTime?: string | null | undefined;
  };
}

export interface ImageSummary {
  Id: string;
  ParentId: string;
  RepoTags: string[];
  RepoDigests: string[];
  Created: number;
  Size: number;
  SharedSize: number;
  Labels: Record<string, string>;
  Containers: number;
  Manifests: ImageManifestSummary[];
  Descriptor?: OCIDescriptor | null | undefined;
}

export interface ImageDeleteItem {
  Untagged?: string | undefined;
  Deleted?: string | undefined;
}

export interface ImageManifestSummary {
  ID?: string | undefined;
  Descriptor?: OCIDescriptor | undefined;
  Available?: boolean | undefined;
  Size?:
    | {
        Total?: number | undefined;
        Content?: number | undefined;
      }
    | undefined;
  Kind?: string | undefined;
  ImageData?:
    | {
        Platform?: OCIPlatform | undefined;
        Containers?: string[] | undefined;
        Size?:
          | {
              Unpacked?: number | undefined;
            }
          | undefined;
      }
    | null
    | undefined;
  AttestationData?:
    | {
        For?: string | undefined;
      }
    | null
    | undefined;
}

export interface OCIDescriptor {
  mediaType?: string | undefined;
  digest?: string | undefined;
  size?: number | undefined;
  urls?: string[] | null | undefined;
  annotations?: Record<string, string> | null | undefined;
  data?: string | null | undefined;
  platform?: OCIPlatform | undefined;
  artifactType?: string | null | undefined;
}

export interface OCIPlatform {
  architecture?: string | undefined;
  os?: string | undefined;
  "os.version"?: string | undefined;
  "os.features"?: string[] | undefined;
  variant?: string | undefined;
}

export interface DistributionInspect {
  Descriptor?: OCIDescriptor | undefined;
  Platforms?: OCIPlatform[] | undefined;
}

export interface CreateImageInfo {
  id?: string | undefined;
  error?: string | null | undefined;
  errorDetail?: ErrorDetail | undefined;
  status?: string | undefined;
  progress?: string | null | undefined;
  progressDetail?: ProgressDetail | undefined;
}

export interface PushImageInfo {
  error?: string | null | undefined;
  errorDetail?: ErrorDetail | undefined;
  status?: string | undefined;
  progress?: string | null | undefined;
  progressDetail?: ProgressDetail | undefined;
}

export interface ErrorDetail {
  code?: number | undefined;
  message?: string | undefined;
}

export interface ProgressDetail {
  current?: number | undefined;
  total?: number | undefined;
}

export interface AuthConfig {
  username?: string | undefined;
  password?: string | undefined;
  email?: string | undefined;
  serveraddress?: string | undefined;
}

export interface BuildInfo {
  id?: string | undefined;
  stream?: string | undefined;
  error?: string | null | undefined;
  errorDetail?: ErrorDetail | undefined;
  status?: string | undefined;
  progress?: string | null | undefined;
  progressDetail?: ProgressDetail | undefined;
  aux?: ImageID | undefined;
}

export interface BuildCache {
  ID?: string | undefined;
  Parents?: string[] | null | undefined;
  Type?: string | undefined;
  Description?: string | undefined;
  InUse?: boolean | undefined;
  Shared?: boolean | undefined;
  Size?: number | undefined;
  CreatedAt?: string | undefined;
  LastUsedAt?: string | null | undefined;
  UsageCount?: number | undefined;
}

export interface ImageID {
  ID?: string | undefined;
}

export interface ImagePruneResult {
  ImagesDeleted: ImageDeleteItem[] | null;
  /** Bytes. */
  SpaceReclaimed: number;
}
