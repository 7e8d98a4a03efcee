// Entry of the player library's bundle: the elements that www/app/controls.js uses, and no others.

import "media-chrome/media-controller";
import "media-chrome/media-control-bar";
import "media-chrome/media-play-button";
import "media-chrome/media-mute-button";
import "media-chrome/media-volume-range";
import "media-chrome/media-time-display";
import "media-chrome/media-time-range";
import "media-chrome/media-preview-time-display";
import "media-chrome/media-preview-chapter-display";
import "media-chrome/media-captions-button";
import "media-chrome/media-pip-button";
import "media-chrome/media-fullscreen-button";
import "media-chrome/media-loading-indicator";
import "media-chrome/media-gesture-receiver";
import "media-chrome/media-chrome-button";

export { addTranslation, setLanguage } from "media-chrome/utils/i18n";
